"""What a host may do with the lines that the site's files lack: people work on that cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .conf_outcome import MERGED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COPY = "copy"
"""The kind of a slurm.conf on a host without slurmctld: no daemon restarts for it."""


@dataclass(frozen=True)
class Merge:
    """One host among all of a play that merge together. Files are as :class:`.comparison.Look` shows them.

    Attributes:
        own: the files of this host.
        everyone: those of all hosts of the play.
        leading: those of the controller that leads.
        elsewhere: whether that controller is in another play, before this one.
        came: what came of its slurm.conf (:mod:`.conf_outcome`).
        consent: whether slurmctld and slurmdbd of this host may restart.
        needed: whether a slurmrestd on this host cannot do without the lines.
    """

    own: Sequence[Mapping[str, Any]]
    everyone: Sequence[Mapping[str, Any]]
    leading: Sequence[Mapping[str, Any]]
    elsewhere: bool
    came: str
    consent: bool
    needed: bool

    @property
    def allowed(self) -> bool:
        """Whether all may be changed. Without consent, where no daemon runs; copies, where they follow what leads."""
        if self.consent:
            return True
        if all(file["kind"] == COPY for file in self.everyone):
            return self.came == MERGED
        return not any(file["running"] for file in self.everyone)

    @property
    def left(self) -> bool:
        """Whether something that this host needs is left to the site."""
        return not self.allowed and any(file["kind"] != COPY for file in self._changes)

    @property
    def stays(self) -> bool:
        """Whether its copy stays as it is: nobody can write it, and it can do without."""
        return self.allowed and bool(self._blocked) and self._dispensable

    @property
    def blocked(self) -> list[str]:
        """Why nobody can write its files."""
        return [why for file in self._blocked for why in file["obstacles"]]

    @property
    def problems(self) -> list[str]:
        """Why nothing may be changed anywhere."""
        own = [problem for file in self.own for problem in file["problems"]]
        return own if self._dispensable else own + self.blocked

    @property
    def differs(self) -> bool:
        """Whether its slurm.conf is not that of the controller that leads, with the lines in both."""
        own = _digest(self.own)
        return bool(own) and own != _digest(self.leading)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, for a role."""
        return {name: getattr(self, name) for name in ("allowed", "left", "stays", "blocked", "problems", "differs")}

    @property
    def _changes(self) -> list[Mapping[str, Any]]:
        return [file for file in self.own if file["changed"]]

    @property
    def _blocked(self) -> list[Mapping[str, Any]]:
        """What this host cannot write, and no other one that has the same file writes for it."""
        written = {file["digest"] for file in self.everyone if not file["obstacles"]}
        if self.elsewhere and self.came == MERGED:
            written.add(_digest(self.leading))
        return [file for file in self._changes if file["obstacles"] and file["digest"] not in written]

    @property
    def _dispensable(self) -> bool:
        """Nodes can do without; slurmrestd cannot, but what is left of the lines there does no harm."""
        return not self.needed and all(file["kind"] == COPY for file in self._blocked)


def _digest(files: Sequence[Mapping[str, Any]]) -> str:
    """That of slurm.conf; empty where there is none."""
    return str(next((file["digest"] for file in files if file["kind"] != "slurmdbd"), ""))
