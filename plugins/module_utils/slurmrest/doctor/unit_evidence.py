"""What the unit of slurmrestd says, as a doctor wants to know it: who decides what, and what it takes away."""

from __future__ import annotations

import os
import posixpath
import stat
from typing import TYPE_CHECKING, Any

from ..host.identity import account_facts
from ..host.proc import read_text
from ..slurmrestd import unit as units
from ..slurmrestd.drift import glob_files
from .unit_states import DAEMONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CONFINING = (
    *("InaccessiblePaths", "TemporaryFileSystem", "PrivateNetwork", "NetworkNamespacePath", "RestrictAddressFamilies"),
    *("TasksMax", "LimitNPROC", "LimitNOFILE", "IPAddressDeny", "IPAddressAllow", "SystemCallFilter", "SocketBindDeny"),
    *("LimitAS", "LimitDATA", "MemoryMax"),
)
"""What of a unit can take from slurmrestd what it needs to start and to be reached."""


def details(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Who the unit runs as, where that is decided, what systemd makes for it, and what ``Environment=`` alone says.

    The environment files, read later, may beat those lines.
    """
    unit = facts["unit"]
    files = {entry["path"] for entry in unit["environment_files"]}

    def read_file(path: str) -> str | None:
        return None if path in files else read_text(path)

    alone = units.effective(unit["fragment"], unit["dropins"], read_file)
    wanted = ("User", "Group", "SupplementaryGroups", "ExecStart", "Type")
    return {
        "runs_as": account_facts(unit["user"] or "root"),
        "origins": {key: [str(entry.origin) for entry in alone.setting(key).values] for key in wanted},
        "kill_signal": alone.last("KillSignal") or "SIGTERM",
        "type": (alone.last("Type") or "simple").lower(),
        "confining": confining(alone),
        "runtime_directories": [f"/run/{name.partition(':')[0]}" for name in alone.words("RuntimeDirectory")],
        "environment_only": {
            name: {"value": item.value, "origin": str(item.origin)} for name, item in alone.environment.items()
        },
    }


def effective(units_now: Mapping[str, Mapping[str, Any]]) -> dict[str, units.EffectiveUnit]:
    """By daemon: its unit, with its drop-ins, from :func:`.unit_states.look`."""
    return {
        daemon: units.effective(fields["fragment"] or None, fields["dropins"], read_text, glob_files)
        for daemon, fields in sorted(units_now.items())
        if daemon in DAEMONS
    }


def environment_files_gone(there: Mapping[str, units.EffectiveUnit]) -> dict[str, list[dict[str, str]]]:
    """By daemon: the files that its unit wants variables from, not written with ``-``, and that are not there."""
    found = {}
    for daemon, unit in there.items():
        gone = [entry for entry in unit.environment_files if not entry.optional and not os.path.exists(entry.path)]
        found[daemon] = [{"path": entry.path, "origin": str(entry.origin)} for entry in gone]
    return {daemon: gone for daemon, gone in found.items() if gone}


def commands_failed(
    units_now: Mapping[str, Mapping[str, Any]], there: Mapping[str, units.EffectiveUnit]
) -> dict[str, list[dict[str, str]]]:
    """By daemon: the commands beside it that failed (as :mod:`.unit_states` has them), each with its ``origin``."""
    return {
        daemon: [{**entry, "origin": _origin(unit, entry)} for entry in units_now[daemon]["commands_failed"]]
        for daemon, unit in there.items()
        if units_now[daemon].get("commands_failed")
    }


def lines(there: Mapping[str, units.EffectiveUnit]) -> dict[str, list[dict[str, str]]]:
    """By daemon: the lines of its unit that decide what systemd demands of it, each with its ``origin``."""
    found = {
        daemon: [
            {"key": key, "value": entry.value, "origin": str(entry.origin)}
            for key in _DEMANDS
            for entry in unit.setting(key).values
        ]
        for daemon, unit in there.items()
    }
    return {daemon: stated for daemon, stated in found.items() if stated}


_DEMANDS = ("WatchdogSec", "RestrictAddressFamilies")


def _origin(unit: units.EffectiveUnit, failed: Mapping[str, str]) -> str:
    """FILE:LINE of a command's line; the name of its key where none names its program as systemd does."""
    places = [
        str(entry.origin)
        for entry in unit.setting(failed["key"]).values
        if posixpath.basename(entry.value.lstrip("@-:+!|").partition(" ")[0]) == posixpath.basename(failed["path"])
    ]
    return places[-1] if places else failed["key"]


def confining(alone: units.EffectiveUnit) -> list[dict[str, str]]:
    """What takes something from slurmrestd, each with its place."""
    return [
        {"key": key, "value": units.specifiers(entry.value), "origin": str(entry.origin)}
        for key in _CONFINING
        for entry in alone.setting(key).values
    ]


def program(exec_start: Sequence[Sequence[str]]) -> dict[str, Any] | None:
    """The file that the unit of slurmrestd runs, and whether it is one that can be run."""
    if not exec_start or not exec_start[-1]:
        return None
    path = exec_start[-1][0].lstrip("@-:+!")
    try:
        status = os.stat(path)
    except OSError:
        return {"path": path, "exists": False, "executable": False}
    executable = stat.S_ISREG(status.st_mode) and bool(status.st_mode & 0o111)
    return {"path": path, "exists": True, "executable": executable, "mode": f"{stat.S_IMODE(status.st_mode):04o}"}
