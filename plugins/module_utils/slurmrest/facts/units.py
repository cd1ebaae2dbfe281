"""The units of this host's daemons: what systemd says of them, and what slurmrestd's says."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING, Any

from ..host import process as described
from ..host.access import describe
from ..host.identity import group_name, owner_name
from ..host.our_files import MARKER
from ..host.private import link, private
from ..host.proc import all_the_while, whose
from ..host.reading import read_if_there, readable_text
from ..host.trust import roots_alone
from ..slurm.daemons import DAEMONS, STARTING_SECONDS
from ..slurmrestd import adoption, unit_places
from ..slurmrestd import unit as units
from ..slurmrestd.address import VARIABLE as LISTEN
from ..slurmrestd.contradictions import contradictions
from ..slurmrestd.drift import glob_files, our_dropin
from ..systemd import environment_files, show

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

DEFAULT_ENVIRONMENT_FILE = "/etc/default/slurmrestd"

OWN_UNIT = f"/etc/systemd/system/{unit_places.UNIT}"

TMPFILES = "/etc/tmpfiles.d/slurmrest.conf"

_CONFIG_DIR = "slurm_common_config_dir"

GONE = " (deleted)"
"""Of what /proc says of a file whose name leads to another one by now, or to none."""


def units_shown(answer: str, unit: str, fragment: str, dropins: Sequence[str]) -> dict[str, dict[str, Any]]:
    """State of each daemon's unit, from one call of systemctl; without systemd, what the disk says."""
    shown = show.by_unit(answer)
    result: dict[str, dict[str, Any]] = {}
    for name in DAEMONS:
        fields = shown.get(unit if name == "slurmrestd" else f"{name}.service", {})
        result[name] = {
            "load": fields.get("LoadState", "not-found"),
            "active": fields.get("ActiveState", "inactive"),
            "sub": fields.get("SubState", "dead"),
            "enabled": show.enabled(fields),
            "unit_file_state": fields.get("UnitFileState", ""),
            "result": fields.get("Result", ""),
            "fragment": fields.get("FragmentPath", ""),
            "dropins": fields.get("DropInPaths", "").split(),
            "needs_reload": fields.get("NeedDaemonReload") == "yes",
            "outdated": outdated(fields.get("MainPID", "0")),
            "pid": show.number(fields, "MainPID"),
            "starting": show.age(fields) < STARTING_SECONDS,
        }
    restd = result["slurmrestd"]
    restd["fragment"] = restd["fragment"] or fragment
    restd["dropins"] = list(dropins)
    return result


def other_unit(shown: Mapping[str, Any]) -> dict[str, Any]:
    """The effective unit of another daemon, from what :func:`units_shown` has of it."""
    return units.effective(shown["fragment"] or None, shown["dropins"], read_if_there, glob_files).as_dict()


def outdated(pid: str) -> bool:
    """Whether a process still runs from a binary, or with a library of Slurm, that was replaced or removed since."""
    try:
        owner = os.stat(f"/proc/{pid}")
    except OSError:
        return False
    found = link(int(pid), "exe", owner.st_uid, owner.st_gid)
    if found is not None and found.endswith(GONE):
        return True
    return replaced_library(private(int(pid), "maps", owner.st_uid, owner.st_gid) or "")


def replaced_library(maps: str) -> bool:
    """Whether a /proc/PID/maps has a shared library or plugin of Slurm that is not there any more."""
    paths = (line.split(None, 5)[5:] for line in maps.splitlines() if line.endswith(GONE) and "slurm" in line)
    return any(".so" in posixpath.basename(path[0]) for path in paths if path)


def unit_facts_of(
    names: Sequence[str], fragment: str, dropins: Sequence[str], wanted: str, owned: Iterable[str]
) -> dict[str, Any]:
    """The vendor's unit alone, the one without our drop-in, and what contradicts the one that is wanted."""
    path = fragment or None
    vendor = units.effective(path, [], read_if_there, glob_files)
    dropin, own_unit = our_dropin(names), OWN_UNIT.replace(unit_places.UNIT, names[-1])
    environment_file = _environment_file(vendor, names[0])
    stronger = f"{DEFAULT_ENVIRONMENT_FILE}-slurmrest".replace("slurmrestd", names[0].replace(".service", ""), 1)
    written = {dropin, own_unit, environment_file, stronger}
    ours = {*written, *owned}
    others = [dropin for dropin in dropins if dropin not in ours]

    def as_wanted(path: str) -> str | None:
        if path == dropin:
            return wanted
        return None if path in ours and path != fragment else read_if_there(path)

    against = contradictions(units.effective(path, [*others, dropin], as_wanted, glob_files), ours)
    return {
        "vendor_unit": vendor.as_dict(),
        "unit_without_ours": units.effective(path, others, read_if_there, glob_files).as_dict(),
        "contradictions": [{**item.as_dict(), "text": str(item)} for item in against],
        "environment_file": _environment_file_facts(environment_file),
        "fragment_ours": fragment == own_unit and MARKER in readable_text(own_unit),
        "written": sorted({*written, _tmpfiles(names[0])}),
    }


def adopted_of(
    dropin: str, pid: int, slurm_user: str, unit_environment: Mapping[str, str], stated: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    """What is to stay of a service that ran before our drop-in came: what that remembers, or what the process says.

    ``not_adopted`` is what it has and cannot keep. ``stated`` are configurations and sockets that its unit files name.
    """
    ours = read_if_there(dropin)
    if ours is not None:
        return {"adopted": adoption.remembered(ours), "not_adopted": {}}
    before = whose(pid)
    running = described.process(pid) if pid else None
    if running is None:
        return {"adopted": {}, "not_adopted": {}}
    environment = running["environment"] or unit_environment
    user, group = owner_name(running["uid"]), group_name(running["gid"])
    process = adoption.Process(running["command"], environment, user, group)
    directories = (posixpath.dirname(listener.path) for listener in process.listeners if listener.path)
    nobody = {"uid": None, "gid": None}
    kept, lost = adoption.found(process, slurm_user, {path: describe(path, nobody) for path in directories})
    unproven = _unproven(kept, stated, all_the_while(before, pid)[0])
    return {
        "adopted": {name: value for name, value in {**kept, **unproven}.items() if value},
        "not_adopted": {**lost, **{name: kept[name] for name in unproven}},
    }


def _unproven(kept: Mapping[str, Any], stated: Sequence[str], uid: int) -> dict[str, Any]:
    """What root would do by the word of the service's account alone, by variable, each with what is left of it.

    A process can say anything of itself. Root reads slurm.conf, from which Slurm's programs load plugins, and makes the
    directories of sockets: the one has to be named by a unit file or be root's, the others to be named or its own.
    """
    found: dict[str, Any] = {}
    directory, listen = kept.get(_CONFIG_DIR), kept.get(LISTEN, [])
    if directory:
        conf = posixpath.join(directory, "slurm.conf")
        if conf not in stated and not roots_alone(conf):
            found[_CONFIG_DIR] = ""
    there = [text for text in listen if not text.startswith("unix:") or _has(text[len("unix:") :], stated, uid)]
    return {**found, LISTEN: there} if there != listen else found


def _has(socket: str, named: Sequence[str], uid: int) -> bool:
    try:
        return os.lstat(socket).st_uid == uid or socket in named
    except OSError:
        return False


def _tmpfiles(unit: str) -> str:
    """Where tmpfiles.d(5) reads of the directories of our sockets, which a foreign group enters."""
    _, _, instance = unit.replace(".service", "").partition("@")
    return TMPFILES.replace(".conf", f"-{instance}.conf") if instance else TMPFILES


def _environment_file(vendor: units.EffectiveUnit, unit: str) -> str:
    """The environment file that is ours to write: the one the vendor's unit reads last, else one of the unit's name."""
    usual = posixpath.join(posixpath.dirname(DEFAULT_ENVIRONMENT_FILE), unit.replace(".service", ""))
    return vendor.environment_files[-1].path if vendor.environment_files else usual


def _environment_file_facts(path: str) -> dict[str, Any]:
    """Whether the environment file that is ours to write holds somebody else's variables (names only)."""
    text = readable_text(path)
    names = sorted({variable.name for variable in environment_files.parse_environment_file(text, path)})
    return {"path": path, "ours": MARKER in text, "variables": names}


def wanted_dropin(account: Mapping[str, Any], conf: str) -> str:
    """What our drop-in decides, whatever its exact text: to see what would beat it, before and after it is written.

    Its command is like nobody else's: a command of the site that reads the same as the beginning of ours has none of
    our options.
    """
    return "\n".join(
        [
            "[Service]",
            f"User={account['name']}",
            f"Group={account['group'] or account['name']}",
            "SupplementaryGroups=",
            "Environment=SLURM_JWT=daemon",
            "Environment=SLURMRESTD_LISTEN=",
            "ExecStart=",
            f"ExecStart=/usr/sbin/slurmrestd $SLURMRESTD_OPTIONS -a rest_auth/{unit_places.OUR_COMMAND} {conf}",
            "ExecReload=",
        ]
    )
