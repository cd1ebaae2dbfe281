"""What decides about slurmrestd although it comes from none of our files: told before it surprises anybody."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..systemd.environment_files import Variable
from ..systemd.unit_files import Place, Setting, merge
from .unit import EffectiveUnit, unset_by, words_of

_DECIDES_IDENTITY = ("User", "Group", "DynamicUser", "SupplementaryGroups", "ExecStart", "ExecReload")
_LISTS = ("SupplementaryGroups", "ExecStart", "ExecReload")
_REDIRECTING = ("SLURM_CONF", "SLURM_CONF_SERVER")  # what an -f overrules (slurmrestd(8))
_DANGEROUS_SECURITY = ("disable_user_check", "become_user")


@dataclass(frozen=True)
class Contradiction:
    """Something that decides about the daemon although it does not come from our files."""

    setting: str
    value: str
    origin: Place

    def __str__(self) -> str:
        return f"{self.origin} decides {self.setting}: {self.value}"

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {"setting": self.setting, "value": self.value, "file": self.origin.file, "line": self.origin.line}


def contradictions(unit: EffectiveUnit, ours: Collection[str]) -> list[Contradiction]:
    """What decides identity, listeners or authentication of ``unit`` although it is in none of our files.

    Args:
        unit: the effective unit with our drop-in (and environment file) among its files.
        ours: paths of our files. The vendor's fragment counts as foreign only where it still adds a listener.
    """
    known = {*ours, unit.fragment}
    own = merge(entry for entry in unit.assignments if entry.origin.file in ours)
    found = [
        *(item for key in _DECIDES_IDENTITY for item in _foreign_setting(unit, key, own, known)),
        *_foreign_variables(unit, own, known),
        *_foreign_reset(unit, known),
    ]
    decided = {item.setting for item in found}
    if "ExecStart" not in decided:
        found.extend(
            Contradiction("listener", listener.text, listener.origin)
            for listener in unit.listeners
            if listener.origin.file not in ours and "SLURMRESTD_LISTEN" not in decided
        )
        found.extend(
            Contradiction(option.flag, option.value or "", option.origin)
            for option in unit.options
            if option.origin.file not in ours and option.flag in ("-u", "-g")
        )
        conf = [option for option in unit.options if option.flag == "-f"][-1:]
        found.extend(
            Contradiction(option.flag, option.value or "", option.origin)
            for option in conf
            if option.origin.file not in ours
        )
    return found


def _foreign_setting(
    unit: EffectiveUnit, key: str, own: Mapping[tuple[str, str], Setting], known: Collection[str | None]
) -> Iterator[Contradiction]:
    setting = unit.setting(key)
    ours = [entry.value for entry in own.get(("Service", key), Setting()).values]
    values = setting.values if key in _LISTS else setting.values[-1:]
    if [entry.value for entry in values] == (ours if key in _LISTS else ours[-1:]):
        return
    if not values and setting.reset is not None and setting.reset.file not in known:
        yield Contradiction(key, "(reset)", setting.reset)
    for entry in values:
        if entry.origin.file not in known:
            yield Contradiction(key, entry.value, entry.origin)


def _foreign_reset(unit: EffectiveUnit, known: Collection[str | None]) -> Iterator[Contradiction]:
    """An empty ``EnvironmentFile=``: the file with our options is not read any more. Further files only add."""
    reset = unit.setting("EnvironmentFile").reset
    if reset is not None and reset.file not in known:
        yield Contradiction("EnvironmentFile", "(reset)", reset)


def _foreign_variables(
    unit: EffectiveUnit, own: Mapping[tuple[str, str], Setting], known: Collection[str | None]
) -> Iterator[Contradiction]:
    ours: dict[str, str] = {}
    for entry in own.get(("Service", "Environment"), Setting()).values:
        ours.update((name, value) for name, _, value in (word.partition("=") for word in words_of(entry)))
    for name, value in ours.items():
        variable = unit.environment.get(name)
        if variable is None:
            yield Contradiction(name, "(unset)", unset_by(unit, name))
        elif variable.origin.file not in known and variable.value != value:
            yield Contradiction(name, variable.value, variable.origin)
    elsewhere = not any(option.flag == "-f" for option in unit.options)
    for name in _REDIRECTING if elsewhere else ():
        variable = unit.environment.get(name)
        if variable is not None and name not in ours and variable.origin.file not in known:
            yield Contradiction(name, variable.value, variable.origin)
    security = unit.environment.get("SLURMRESTD_SECURITY", Variable("", "", Place("", 0)))
    dangerous = any(word.strip().lower() in _DANGEROUS_SECURITY for word in security.value.split(","))
    if dangerous and security.name not in ours and security.origin.file not in known:
        yield Contradiction(security.name, security.value, security.origin)
