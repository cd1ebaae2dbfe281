"""How systemd has the units of Slurm's daemons, and of those that they need. Changes nothing."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from ..host import programs
from ..redaction import redacted
from ..slurmrestd import unit_places
from ..systemd import show

if TYPE_CHECKING:
    from collections.abc import Mapping

DAEMONS = ("slurmrestd", "slurmctld", "slurmdbd")
DATABASES = ("mariadb", "mysql", "mysqld")
UNITS = (*DAEMONS, "munge", *DATABASES)
_PROPERTIES = (
    "Id,LoadState,LoadError,ActiveState,SubState,UnitFileState,Result,NRestarts,MainPID,ExecMainCode,ExecMainStatus,"
    "ActiveEnterTimestampMonotonic,InactiveEnterTimestampMonotonic,ConditionResult,NeedDaemonReload,Job,Restart,"
    "FragmentPath,DropInPaths,SystemCallFilter,FreezerState,Environment,ExecCondition,ExecStartPre,ExecStartPost,"
    "Requires,Requisite,BindsTo"
)
NEEDS = ("Requires", "Requisite", "BindsTo")
"""How a unit names others without which systemd does not start it."""

_COMMAND = re.compile(
    r"^(?P<key>Exec\w+)=\{ path=(?P<path>.*?) ; argv\[\]=(?P<words>.*) ; ignore_errors=no ; .* ; "
    r"code=(?P<code>exited|killed|dumped) ; status=(?P<status>[1-9]\S*) \}$",
    re.MULTILINE,
)


def look(slurmrestd: str = unit_places.UNIT) -> dict[str, dict[str, Any]]:
    """State of the units, by the names of the daemons."""
    names = {slurmrestd if name == "slurmrestd" else f"{name}.service": name for name in UNITS}
    output = programs.run(show.command(list(names), _PROPERTIES), limit=programs.LOOKING_SECONDS).stdout
    found = {}
    now = time.clock_gettime(time.CLOCK_MONOTONIC)
    for block in output.split("\n\n"):
        fields: dict[str, str] = next(iter(show.blocks(block)), {})
        name = names.get(fields.get("Id", ""))
        if name is None:
            continue
        since = "Active" if fields.get("ActiveState") == "active" else "Inactive"
        entered = show.number(fields, f"{since}EnterTimestampMonotonic") / 1e6
        found[name] = {
            "load": fields.get("LoadState", "not-found"),
            "load_error": fields.get("LoadError", "").strip(),
            "active": fields.get("ActiveState", "inactive"),
            "sub": fields.get("SubState", "dead"),
            "enabled": show.enabled(fields),
            "result": fields.get("Result", ""),
            "restarts": show.number(fields, "NRestarts"),
            "restart": fields.get("Restart", "no"),
            "pid": show.number(fields, "MainPID"),
            "exit_code": fields.get("ExecMainCode", ""),
            "exit_status": show.number(fields, "ExecMainStatus"),
            "age": round(now - entered, 1) if entered else 0.0,
            "started_once": show.number(fields, "ActiveEnterTimestampMonotonic") > 0,
            "condition": fields.get("ConditionResult", "yes") == "yes",
            "needs_reload": fields.get("NeedDaemonReload") == "yes",
            "job": fields.get("Job", "").strip("0 "),
            "fragment": fields.get("FragmentPath", ""),
            "dropins": fields.get("DropInPaths", "").split(),
            "unshare": _lets_unshare(fields.get("SystemCallFilter", "")),
            "slurm_conf": _sent_to(fields.get("Environment", "")),
            "frozen": fields.get("FreezerState", "running") != "running",
            "needs": {key: fields[key].split() for key in NEEDS if fields.get(key)},
            "commands_failed": commands_failed(block),  # each command has a line of the same name
        }
    return found


def commands_failed(shown: str) -> list[dict[str, str]]:
    """The commands that a unit runs before and after its daemon and that failed, as systemctl shows them.

    Each with its key, its program, its command line, and how it ended.
    """
    return [
        {
            "key": match["key"],
            "path": match["path"],
            "command": redacted(match["words"]),
            "ended": f"exit code {match['status']}" if match["code"] == "exited" else f"signal {match['status']}",
        }
        for match in _COMMAND.finditer(shown)
    ]


def needs_unmet(units_now: Mapping[str, Mapping[str, Any]]) -> dict[str, list[dict[str, str]]]:
    """By daemon that does not run: the units that its own needs and that are not there or not active, each as it is."""
    stopped = {daemon: units_now[daemon] for daemon in DAEMONS if daemon in units_now}
    wanted = {
        daemon: {unit: key for key, units in (fields.get("needs") or {}).items() for unit in units}
        for daemon, fields in stopped.items()
        if fields["active"] != "active"
    }
    asked = sorted({unit for units in wanted.values() for unit in units})
    if not asked:
        return {}
    command = show.command(asked, "Id,LoadState,ActiveState,Result")
    seen = show.by_unit(programs.run(command, limit=programs.LOOKING_SECONDS).stdout)
    found = {
        daemon: [
            {"key": key, "unit": unit, **{name: seen[unit].get(name, "") for name in _OF_NEED}}
            for unit, key in units.items()
            if unit in seen and not show.running(seen[unit])
        ]
        for daemon, units in wanted.items()
    }
    return {daemon: unmet for daemon, unmet in found.items() if unmet}


_OF_NEED = ("LoadState", "ActiveState", "Result")


def _sent_to(environment: str) -> str:
    """The SLURM_CONF of ``Environment=`` as systemctl shows it; empty without one."""
    found = re.search(r'(?:^|\s)"?SLURM_CONF=([^\s"]+)', environment)
    return found[1] if found else ""


def _lets_unshare(system_calls: str) -> bool:
    """Whether SystemCallFilter= as systemctl shows it, the calls it allows or after ~ those it denies, lets unshare."""
    denied, names = system_calls.startswith("~"), system_calls.lstrip("~").split()
    return not names or ("unshare" in names) is not denied
