"""What is wrong with a variable of the roles, and what a unit's sandbox may hold. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..systemd.values import no_directive

if TYPE_CHECKING:
    from collections.abc import Iterator

HIDDEN_DIRECTORIES = ("/tmp", "/var/tmp", "/home", "/root", "/run/user", "/dev", "/proc", "/sys")  # noqa: S108

_OWNED_DIRECTIVES = frozenset(
    (
        *("User", "Group", "SupplementaryGroups", "DynamicUser", "ExecStart", "ExecReload", "Environment"),
        *("EnvironmentFile", "UnsetEnvironment", "PassEnvironment", "RuntimeDirectory", "ReadWritePaths", "Type"),
    )
)


@dataclass(frozen=True)
class Problem:
    """One thing that cannot work: names the variable (or the unit), its value and what is allowed."""

    variable: str
    value: Any
    allowed: str
    reason: str
    remedy: str | None = None

    def __str__(self) -> str:
        return str(InputError(self.variable, self.value, self.allowed, self.reason, self.remedy))

    @classmethod
    def of(cls, error: InputError) -> Problem:
        """The same as an error."""
        return cls(error.variable, error.value, error.allowed, error.reason or "it is not understood", error.remedy)


def sandbox_problems(variable: str, given: object) -> Iterator[Problem]:
    """What is wrong with directives that a site gives for a unit of ours: they must not say who runs what."""
    if not isinstance(given, dict):
        yield Problem(variable, given, "a dictionary of systemd directives", "it is none")
        return
    for name, value in given.items():
        if name in _OWNED_DIRECTIVES:
            yield Problem(variable, name, "directives of the sandbox", "other variables decide about this directive")
        elif not isinstance(name, str) or not re.fullmatch(r"[A-Z][A-Za-z0-9]+", name):
            yield Problem(variable, name, "directives of the sandbox", "it is no name of a systemd directive")
        elif value is not None and (reason := no_directive(value)) is not None:
            quoted = f"'{'yes' if value else 'no'}', quoted"
            allowed = quoted if isinstance(value, bool) else "one line of text, or null to leave it out"
            yield Problem(f"{variable}.{name}", value, allowed, reason)
