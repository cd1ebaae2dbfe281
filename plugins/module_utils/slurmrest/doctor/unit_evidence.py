"""What the unit of slurmrestd says, as a doctor wants to know it: who decides what, and what it takes away."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from ..host.identity import account_facts
from ..host.proc import read_text
from ..slurmrestd import unit as units

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CONFINING = (
    *("InaccessiblePaths", "TemporaryFileSystem", "PrivateNetwork", "NetworkNamespacePath", "RestrictAddressFamilies"),
    *("TasksMax", "LimitNPROC", "LimitNOFILE"),
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
    wanted = ("User", "Group", "SupplementaryGroups", "ExecStart")
    return {
        "runs_as": account_facts(unit["user"] or "root"),
        "origins": {key: [str(entry.origin) for entry in alone.setting(key).values] for key in wanted},
        "kill_signal": alone.last("KillSignal") or "SIGTERM",
        "confining": confining(alone),
        "runtime_directories": [f"/run/{name.partition(':')[0]}" for name in alone.words("RuntimeDirectory")],
        "environment_only": {
            name: {"value": item.value, "origin": str(item.origin)} for name, item in alone.environment.items()
        },
    }


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
