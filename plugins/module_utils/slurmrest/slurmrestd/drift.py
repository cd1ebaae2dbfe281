"""What slurmrestd really runs with, against what our drop-in says.

Unit files tell what systemd would start now. A process may have been started from others, and a file that sorts later
may decide over ours: only the process itself tells what serves. Compared is what decides whom it serves and as whom:
account, listeners, options and variables. Values that may be secrets are never kept (see
:func:`..systemd.environment_files.shown`).
"""

from __future__ import annotations

import glob
import os
import posixpath
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..host import process as described
from ..host.identity import group_name, owner_name
from ..host.reading import names_in, read_if_there
from ..systemd import environment_files
from . import adoption, unit_places
from . import unit as units

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

NOWHERE = "no file that systemd reads now"
"""Where a difference comes from that no unit or environment file makes: the process is older than they are, or the
manager's own environment (``DefaultEnvironment=``, ``systemctl set-environment``) reaches it."""

_COMPARED_OPTIONS = {
    "-a": "SLURMRESTD_AUTH_TYPES",
    "-d": "SLURMRESTD_DATA_PARSER_PLUGINS",
    "-f": "SLURM_CONF",
    "-g": "",
    "-s": "SLURMRESTD_OPENAPI_PLUGINS",
    "-t": "",
    "-u": "",
    "--max-connections": "",
}
"""Options, each with the variable that it overrules."""

_VARIABLES = (
    *("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT"),
    *("SLURMRESTD_DATA_PARSER_PLUGINS", "SLURMRESTD_OPENAPI_PLUGINS"),
)


@dataclass(frozen=True)
class Difference:
    """One thing that the process does otherwise than our drop-in says."""

    setting: str  # an option (-a), a variable (SLURM_JWT), or listeners, User, Group, program
    wanted: str  # empty: not given
    running: str
    origin: str  # FILE:LINE that decides so, or NOWHERE

    def __str__(self) -> str:
        return f"{self.setting} is {self.running or 'not given'}, not {self.wanted or 'left out'} ({self.origin})"

    def as_dict(self) -> dict[str, str]:
        """JSON-able."""
        return {**asdict(self), "text": str(self)}


def differences(
    process: Mapping[str, Any], ours: units.EffectiveUnit, all_files: units.EffectiveUnit
) -> list[Difference]:
    """What a process (as :func:`..host.process.process` gives it) does otherwise than ``ours``.

    Args:
        process: it. Of one whose environment nobody may read the rest is compared.
        ours: the unit of the vendor's fragment and our drop-in alone.
        all_files: the unit of all files, which tells where a difference comes from.
    """
    if not ours.exec_start:
        return []
    return list(_found(process, ours, all_files))


def _found(
    process: Mapping[str, Any], ours: units.EffectiveUnit, all_files: units.EffectiveUnit
) -> Iterator[Difference]:
    command = [word.text for word in ours.exec_start[0]]
    now = list(process["command"])
    commands = all_files.setting("ExecStart").values
    decided = str(commands[-1].origin) if commands else NOWHERE
    same_command = bool(all_files.exec_start) and [word.text for word in all_files.exec_start[0]] == now

    def origin(flag: str = "") -> str:
        """Where an option of the process comes from."""
        named = [str(option.origin) for option in all_files.options if option.flag == flag]
        return (named[-1] if named else decided) if same_command else NOWHERE

    if posixpath.basename(command[0]) != posixpath.basename(now[0] if now else ""):
        yield Difference("program", command[0], now[0] if now else "", origin())
        return
    environment = process["environment"]
    wanted_options, running_options = _options(command), _options(now)
    for flag in _COMPARED_OPTIONS:
        if wanted_options.get(flag, "") != running_options.get(flag, ""):
            yield Difference(flag, wanted_options.get(flag, ""), running_options.get(flag, ""), origin(flag))
    yield from _identity(process, ours, all_files)
    if environment is None:
        return
    told = {name: item.value for name, item in ours.environment.items()}
    wanted, running = _listeners(command, told), _listeners(now, environment)
    if set(wanted) != set(running):
        where = all_files.environment.get("SLURMRESTD_LISTEN")
        listed = where is not None and where.value == environment.get("SLURMRESTD_LISTEN", "")
        beaten = where is not None and listed and where.value != told.get("SLURMRESTD_LISTEN", "")
        place = str(where.origin) if where is not None and beaten else origin()
        yield Difference("listeners", ",".join(wanted), ",".join(running), place)
    beats = {name for flag, name in _COMPARED_OPTIONS.items() if flag in running_options}
    for name in _VARIABLES:
        has = environment_files.shown(name, environment.get(name, ""))
        if name not in beats and has != told.get(name, ""):
            source = all_files.environment.get(name)
            place = str(source.origin) if source is not None and source.value == has else NOWHERE
            yield Difference(name, told.get(name, ""), has, place if source or has else _unset(all_files, name))


def _options(command: Sequence[str]) -> dict[str, str]:
    """The options of a command line that are compared; of one that is given twice the last counts."""
    options = units.argv_of(command)[0]
    return {option.flag: environment_files.shown(option.flag, option.value or "") for option in options}


def _listeners(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    words = units.argv_of(command)[1]
    texts: Iterable[str] = [*environment.get("SLURMRESTD_LISTEN", "").split(","), *(word.text for word in words)]
    return [str(item) for item in adoption.bound(texts)]


def _identity(
    process: Mapping[str, Any], ours: units.EffectiveUnit, all_files: units.EffectiveUnit
) -> Iterator[Difference]:
    for key, field, name_of in (("User", "uid", owner_name), ("Group", "gid", group_name)):
        wanted, number = ours.last(key), process[field]
        name = name_of(number)
        if wanted and wanted not in (name, str(number)):
            values = all_files.setting(key).values
            place = str(values[-1].origin) if values and all_files.last(key) in (name, str(number)) else NOWHERE
            yield Difference(key, wanted, name, place)


def _unset(unit: units.EffectiveUnit, name: str) -> str:
    place = str(units.unset_by(unit, name))
    return place if not place.startswith(":") else NOWHERE


# --- this host -------------------------------------------------------------------------------------------------------


def look(names: Sequence[str], pid: int) -> list[Difference]:
    """The differences of the process of a unit on this host; none where our drop-in is not there.

    Args:
        names: the unit, as :func:`.unit_places.unit_names` has it.
        pid: of its main process, as systemd says.
    """
    dropin = our_dropin(names)
    process = described.process(pid) if pid and os.path.exists(dropin) else None
    if process is None:
        return []
    fragment, dropins = unit_files(names)
    ours = units.effective(fragment or None, [dropin], read_if_there, glob_files)
    return differences(process, ours, units.effective(fragment or None, dropins, read_if_there, glob_files))


def unit_files(names: Sequence[str]) -> tuple[str, list[str]]:
    """Fragment and drop-ins of slurmrestd as they are on disk, loaded or not."""
    fragments = (f"{directory}/{name}" for name in names for directory in unit_places.UNIT_PATHS)
    fragment = next((path for path in fragments if os.path.lexists(path)), "")
    dropins = (
        f"{directory}/{name}" for directory in unit_places.dropin_directories(names) for name in names_in(directory)
    )
    return fragment, unit_places.order_dropins(dropins)


def our_dropin(names: Sequence[str]) -> str:
    """Our drop-in of this unit."""
    return unit_places.DROPIN.replace(unit_places.UNIT, names[0])


def glob_files(pattern: str) -> list[str]:
    """The files of a pattern, or itself where there are none, as systemd takes an ``EnvironmentFile=``."""
    return sorted(glob.glob(pattern)) or [pattern]
