"""What a doctor wants to see of one host before a deployment, besides its facts. Changes nothing.

Most runs need no more than this; :mod:`.thorough` sees the rest.

It looks at state first (processes, sockets, files, modes) and at logs second, which also hold what was wrong yesterday.
All of it is JSON-able. Tokens and passwords are cut out of every line of a log.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import pwd
import time
from typing import TYPE_CHECKING, Any

from ..auth.key_files import ended_without, inspect, rotation_record
from ..facts import host as facts_of
from ..facts.conf import decisive
from ..host import access
from ..host.access import describe
from ..host.identity import account_facts
from ..host.proc import read_text, unit_of
from ..host.process import process
from ..host.reading import UnsafePath, read_if_there
from ..host.sockets import listening_sockets
from ..host.trust import led_by_others
from ..host.unreadable import unreadable
from ..redaction import REDACTED, redacted
from ..slurm import conf as slurmconf
from ..slurm.heartbeat import see
from ..slurm.version import columns_of
from ..slurmrestd import unit_places
from ..slurmrestd.address import DEFAULT_PORT
from ..slurmrestd.spelling import read
from . import log_files, munge, surroundings, unit_states
from .unit_states import DAEMONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


ARGUMENTS: dict[str, Any] = {
    "account": {"type": "str", "default": "slurmrestd"},
    "slurmrestd": {"type": "path"},
    "slurm_conf": {"type": "path"},
    "instance": {"type": "str"},
    "roles": {"type": "list", "elements": "str", "default": []},
    "listen": {"type": "list", "elements": "str", "default": []},
    "columns": {"type": "list", "elements": "list", "default": []},
    "groups": {"type": "list", "elements": "str", "default": []},
    "keep_facts": {"type": "bool", "default": False},
}
"""Parameters of both modules that gather, as Ansible describes them; plugins/doc_fragments/gather.py tells of each."""

_SAFE_VARIABLES = frozenset(("SLURM_CONF", "SLURMRESTD_LISTEN", "SLURMRESTD_SECURITY", "SLURM_DEBUG_FLAGS"))


def look(options: Mapping[str, Any]) -> dict[str, Any]:
    """What :func:`..facts.host.look` finds, of the sockets in ``listen`` and the names in ``groups`` too."""
    sockets = [entry for entry in map(read, options.get("listen") or ()) if entry and entry.kind == "unix"]
    paths = [path for entry in sockets for path in (entry.path, entry.directory)]
    same = {name: options.get(name) for name in ("account", "slurmrestd", "slurm_conf", "instance", "groups")}
    return facts_of.look({**same, "paths": paths}, options.get("columns") or ())


def gather(
    options: Mapping[str, Any],
    found: Mapping[str, Any] | None = None,
    units_now: Mapping[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """What a deployment is judged by before it changes anything; keys and controllers are for :mod:`.judgement`.

    Args:
        found: what :func:`look` returned, where it has looked already.
        units_now: the state of the units, where that is known.
        options: all optional. ``account``, ``slurmrestd``, ``slurm_conf`` and ``instance`` as for
            :func:`..facts.host.look`. ``columns``: its columns of the release table. ``roles``: which of the daemons
            this host is there for; those enabled or running where it is not given. ``listen``: where clients expect
            slurmrestd, to see who listens there, besides its own listeners.
    """
    slurmrestd = unit_places.unit_names(options.get("instance") or "")[0]
    units_now = unit_states.look(slurmrestd) if units_now is None else units_now
    facts = dict(found or look(options))
    facts["packages"] = [name for name in facts["packages"] if "slurm" in name or "munge" in name]
    roles = options.get("roles") or [name for name in DAEMONS if _wanted(units_now.get(name, {}))]
    processes = {name: _process(fields["pid"]) for name, fields in units_now.items() if fields["pid"]}
    release = columns_of(options.get("columns") or (), facts["version"]) or {}
    confs = {name: _conf(facts[name]["path"], release) for name in ("slurm_conf", "slurmdbd_conf")}
    told = [entry["listener"] for entry in facts["unit"]["listeners"] if entry["listener"]]
    expected = list(options.get("listen") or ())
    conf = decisive(facts["slurm_conf"], facts["slurmdbd_conf"])
    return {
        "facts": facts,
        "service": slurmrestd.rpartition(".")[0],
        "roles": roles,
        "expected": expected,
        "now": time.time(),
        "units": {name: fields for name, fields in units_now.items() if fields["load"] != "not-found"},
        "processes": {name: process for name, process in processes.items() if process},
        "journal": {},
        "logs": {
            name: log_files.trouble_in(confs[conf], key, str(facts[conf]["slurm_user"]))
            for name, conf, key in _LOG_KEYS
            if name in roles
        },
        "confs": confs,
        "files": _files(facts),
        "keys": _keys(facts, roles),
        "listening": _listening(_where(told, expected), facts, processes.get("slurmrestd")),
        "controllers": _controllers(facts) if "slurmctld" in roles else None,
        "state": _state(facts["slurm_conf"]) if "slurmctld" in roles else None,
        **surroundings.look(facts, roles, confs),
        "munge": munge.look(conf, confs["slurm_conf" if conf is facts["slurm_conf"] else "slurmdbd_conf"]),
    }


_LOG_KEYS = (("slurmctld", "slurm_conf", "slurmctldlogfile"), ("slurmdbd", "slurmdbd_conf", "logfile"))


# --- units and processes ---------------------------------------------------------------------------------------------


def _wanted(fields: Mapping[str, Any]) -> bool:
    return bool(fields) and (fields["enabled"] or fields["active"] != "inactive")


def _process(pid: int) -> dict[str, Any] | None:
    """The process of a unit; of its environment the names, with the values of those that are known to be harmless."""
    found = process(pid)
    if found is not None:
        found["command"] = [redacted(word) for word in found["command"]]
        if found["environment"] is not None:
            found["environment"] = _safe(found["environment"])
        found["halted"] = (read_text(f"/proc/{pid}/stat") or "").rpartition(")")[2].split()[:1] in (["T"], ["t"])
    return found


def _safe(environment: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name in sorted(name for name in environment if name.startswith("SLURM")):
        value = environment[name]
        harmless = name in _SAFE_VARIABLES or (name == "SLURM_JWT" and value in ("", "daemon"))
        found[name] = redacted(value) if harmless else REDACTED
    return found


# --- files -----------------------------------------------------------------------------------------------------------


def _conf(path: str, release: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """A configuration as (key in lower case, value, origin); None where it is not there or may not be read."""
    try:
        conf = slurmconf.read(path, read_if_there, beside_includer=bool((release or {}).get("include_beside_includer")))
    except PermissionError:
        return None
    if conf is None:
        return None
    closed = unreadable(conf.files)
    entries = [
        {
            "key": entry.key.lower(),
            "name": entry.key,
            "value": entry.shown,
            "line": str(entry) if len(str(entry)) < 1000 else hashlib.sha256(str(entry).encode()).hexdigest(),
            "origin": f"{entry.file}:{entry.line}",
        }
        for entry in conf.entries
        if entry.file not in closed
    ]
    return {"path": path, "entries": entries, "errors": list(conf.errors), "missing": list(conf.missing)}


def _files(facts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Unit files, environment files and configurations: owner, mode, and whether the account may change them."""
    unit, account = facts["unit"], facts["account"]
    paths = [unit["fragment"], *unit["dropins"], *(entry["path"] for entry in unit["environment_files"])]
    paths += [facts["slurm_conf"]["path"], facts["slurmdbd_conf"]["path"]]
    return {path: _file(path, account) for path in dict.fromkeys(filter(None, paths)) if os.path.lexists(path)}


def _file(path: str, account: Mapping[str, Any]) -> dict[str, Any]:
    facts = describe(path, account)
    facts["dangling"] = None if os.path.exists(path) else _target(path)
    # A mask: /dev/null behind it is everybody's to write, and decides nothing.
    facts["null"] = os.path.realpath(path) == os.devnull
    with contextlib.suppress(OSError):
        facts["age"] = round(time.time() - os.stat(path).st_mtime, 1)
        facts["account_writes"] = _may_write(path, account)
        behind = posixpath.dirname(os.path.realpath(path))  # of a link both places count
        facts["account_replaces"] = any(_may_write(place, account) for place in {posixpath.dirname(path), behind})
    return facts


def _target(path: str) -> str | None:
    """Where a link leads; None for what is none, or not any more."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def _may_write(path: str, account: Mapping[str, Any]) -> bool:
    if not account["exists"] or account["uid"] == 0:
        return False
    status = os.stat(path)
    own = {"uid": status.st_uid, "gid": status.st_gid, "mode": status.st_mode}
    # Who owns a file may give himself the right to write it.
    return access.may(own, account, 2) or status.st_uid == account["uid"]


def _where(told: Iterable[Mapping[str, Any]], expected: Iterable[str]) -> dict[str, set[Any]]:
    found: dict[str, set[Any]] = {"tcp": {DEFAULT_PORT, *(entry.port for entry in map(read, expected) if entry)}}
    for entry in told:
        found.setdefault(entry["kind"], set()).add(entry["path"] or entry["port"])
    return found


def _listening(
    where: Mapping[str, Iterable[Any]], facts: Mapping[str, Any], process: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """Who listens there; of sockets of UNIX those of root and of slurmrestd: others may call one of theirs the same."""
    own = (0, None, facts["account"]["uid"], (process or {}).get("uid"))
    found = [entry for entry in listening_sockets(where) if entry["kind"] != "unix" or entry["uid"] in own]
    return [{**entry, "unit": unit_of(entry["pid"])} if entry.get("pid") else entry for entry in found]


def unix(told: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those of some listeners that are sockets of UNIX."""
    return [entry for entry in told if entry["kind"] == "unix"]


def _keys(facts: Mapping[str, Any], roles: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The HS256 key of each daemon here that has one configured, or in slurmctld's case by default."""
    found = {}
    slurm, dbd = facts["slurm_conf"], facts["slurmdbd_conf"]
    for daemon, conf in (("slurmctld", slurm), ("slurmdbd", dbd)):
        if daemon in roles and conf["jwt_key_path"]:
            found[daemon] = _key(conf["jwt_key_path"], conf["slurm_user"])
    return found


def _key(path: str, reader: str) -> dict[str, Any]:
    """One key: what ``auth.key_files.inspect`` sees. ``error`` says why it could not be seen."""
    facts: dict[str, Any] = {"path": path, "reader": reader, "error": None, "exists": False, "fingerprint": None}
    facts.update(link=_target(path), led=led_by_others(path, links=True))
    try:
        entry = pwd.getpwnam(reader)
        facts.update(inspect(path), reader_uid=entry.pw_uid, reader_gid=entry.pw_gid)
        if facts["exists"]:
            status = os.stat(facts["real_path"])
            account = {"uid": entry.pw_uid, "gid": entry.pw_gid}
            facts.update(inode=status.st_ino, age=round(time.time() - status.st_ctime, 1))
            facts.update(readable=access.may(facts, account, 4), rotating=os.path.exists(rotation_record(path)))
            facts["ended_without"] = ended_without(path)
    except (OSError, KeyError, UnsafePath) as error:
        facts["error"] = str(error)
    return facts


def _controllers(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Of several controllers what this host sees of them, and of the state that they share."""
    seen = see(facts["slurm_conf"])
    if seen is None:
        return None
    state = str(facts["slurm_conf"]["state_save_location"])
    return {
        "seen": seen,
        "state": state,
        "heartbeat": seen["heartbeat"],
        "inode": os.stat(state).st_ino if os.path.isdir(state) else None,
    }


def _state(slurm_conf: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where slurmctld keeps its state, and whether SlurmUser may write there; ``writable`` None: nobody can tell."""
    path, account = str(slurm_conf["state_save_location"] or ""), account_facts(str(slurm_conf["slurm_user"]))
    if not path.startswith("/"):
        return None
    found: dict[str, Any] = {"path": path, **describe(path, account), "writable": None}
    with contextlib.suppress(OSError):
        place = access.ownership(found["nearest"])
        found["writable"] = access.may(place, account, 3) if account["exists"] else None
    return found
