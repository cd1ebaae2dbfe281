"""What a doctor wants to see of one host, besides its facts. Changes nothing.

It looks at state first (processes, sockets, files, modes, what a daemon has mapped into memory) and at logs second,
which also hold what was wrong yesterday. All of it is JSON-able. Tokens and passwords are cut out of every line of a
log; keys are compared by a keyed fingerprint whose salt the caller throws away.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import hashlib
import os
import posixpath
import pwd
import re
import time
from typing import TYPE_CHECKING, Any

from ..auth import keys
from ..facts import host as facts_of
from ..host import access, programs
from ..host.access import describe
from ..host.beyond import beyond
from ..host.identity import account_facts
from ..host.mapped import mapped
from ..host.network import connect
from ..host.page import page_status
from ..host.proc import read_text
from ..host.process import process
from ..host.reading import UnsafePath, read_if_there
from ..host.sockets import listening_sockets
from ..redaction import REDACTED, redacted
from ..slurm import conf as slurmconf
from ..slurm import controllers
from ..slurm.commands import Slurm
from ..slurm.version import columns_of
from ..slurmrestd import unit_places
from ..slurmrestd.address import DEFAULT_PORT
from ..slurmrestd.spelling import read
from . import logs, munge, surroundings, unit_evidence, unit_states
from .fingerprint import fingerprint
from .unit_states import DAEMONS, DATABASES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ..host.programs import Started

_CLONE_SYSVSEM = 0x00040000  # sched.h
_SAFE_VARIABLES = frozenset(("SLURM_CONF", "SLURMRESTD_LISTEN", "SLURMRESTD_SECURITY", "SLURM_DEBUG_FLAGS"))
_ASSIGNS_JWT = re.compile(r"""^\s*(?:export\s+|declare\s+-x\s+|setenv\s+|DefaultEnvironment=.*?)?["']?SLURM_JWT[=\s]""")
_EXPORTS_TOKEN = re.compile(r"^\s*export\s+[\"']?(?:\$\(|`)\s*scontrol\s+token\b")
_EXPORTING_FILES = (
    *("/etc/environment", "/etc/environment.d/*.conf", "/etc/profile", "/etc/profile.d/*", "/etc/bash.bashrc"),
    *("/etc/bashrc", "/etc/zsh/zshenv", "/etc/zshenv", "/etc/security/pam_env.conf", "/etc/default/slurm*"),
    *("/etc/sysconfig/slurm*", "/etc/systemd/system.conf", "/etc/systemd/system.conf.d/*.conf"),
    *("/root/.profile", "/root/.bash_profile", "/root/.bashrc"),
)


def look(options: Mapping[str, Any]) -> dict[str, Any]:
    """What :func:`..facts.host.look` finds, of the sockets in ``listen`` and the names in ``groups`` too."""
    sockets = [entry for entry in map(read, options.get("listen") or ()) if entry and entry.kind == "unix"]
    paths = [path for entry in sockets for path in (entry.path, entry.directory)]
    same = {name: options.get(name) for name in ("account", "slurmrestd", "slurm_conf", "instance", "groups")}
    return facts_of.look({**same, "paths": paths}, options.get("columns") or ())


def gather(options: Mapping[str, Any], found: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Everything that the rules of the doctor want to know of this host.

    Args:
        found: what :func:`look` returned, where it has looked already.
        options: all optional. ``account``, ``slurmrestd``, ``slurm_conf`` and ``instance`` as for
            :func:`..facts.host.look`. ``columns``: its columns of the release table. ``roles``: which of the daemons
            this host is there for; those enabled or running where it is not given. ``salt``: text for the fingerprints
            of keys; without one there are none. ``users``: names to look up. ``listen``: where clients expect
            slurmrestd, to see who listens there, besides its own listeners. ``quick``: without journals and waiting.
    """
    quick = options.get("quick") or False
    slurmrestd = unit_places.unit_names(options.get("instance") or "")[0]
    units_now = unit_states.look(slurmrestd) if quick else unit_states.settled(slurmrestd)
    told_of = [] if quick else [*DAEMONS, "munge", *_loaded(units_now, DATABASES)]
    facts = dict(found or look(options))
    journals = {name: _journal(name, slurmrestd, facts) for name in told_of}
    facts["packages"] = [name for name in facts["packages"] if "slurm" in name or "munge" in name]
    roles = options.get("roles") or [name for name in DAEMONS if _wanted(units_now.get(name, {}))]
    processes = {name: _process(fields["pid"]) for name, fields in units_now.items() if fields["pid"]}
    release = columns_of(options.get("columns") or (), facts["version"]) or {}
    confs = {name: _conf(facts[name]["path"], release) for name in ("slurm_conf", "slurmdbd_conf")}
    told = [entry["listener"] for entry in facts["unit"]["listeners"] if entry["listener"]]
    expected = list(options.get("listen") or ())
    ports = {DEFAULT_PORT, *(entry["port"] for entry in told), *(entry.port for entry in map(read, expected) if entry)}
    return {
        "facts": facts,
        "service": slurmrestd.rpartition(".")[0],
        "roles": roles,
        "expected": expected,
        "now": time.time(),
        "units": {name: fields for name, fields in units_now.items() if fields["load"] != "not-found"},
        "processes": {name: process for name, process in processes.items() if process},
        "journal": {name: logs.lines(started, unit) for name, (unit, started) in journals.items()},
        "logs": {
            name: logs.of_file(confs[conf], key, str(facts[conf]["slurm_user"]))
            for name, conf, key in _LOG_KEYS
            if name in roles
        },
        "confs": confs,
        **unit_evidence.details(facts),
        "files": _files(facts),
        "program": unit_evidence.program(facts["unit"]["exec_start"]),
        "closed_includes": _closed_includes(facts),
        "directories": {entry["path"]: _directory(entry["path"], facts["account"]) for entry in _unix(told)},
        "keys": _keys(facts, roles, options.get("salt") or ""),
        "listening": listening_sockets(ports, {entry["path"] for entry in _unix(told)}),
        "reach": _reach(facts, confs["slurm_conf"], release) if "slurmrestd" in roles and not quick else [],
        "controllers": _controllers(facts) if "slurmctld" in roles else None,
        "state": _state(facts["slurm_conf"]) if "slurmctld" in roles else None,
        **surroundings.look(facts, roles, confs, quick=quick),
        "munge": munge.look(facts["slurm_conf"], confs["slurm_conf"], options.get("salt") or ""),
        "unshare": _unshare(),
        "slurm_users": _slurm_users(facts, units_now, roles, options.get("users") or ()),
        "users": {name: _user(name) for name in options.get("users") or ()},
        "exported": _exported(),
        "manager": [] if quick else _manager_variables(),
    }


_LOG_KEYS = (("slurmctld", "slurm_conf", "slurmctldlogfile"), ("slurmdbd", "slurmdbd_conf", "logfile"))


# --- units and processes ---------------------------------------------------------------------------------------------


def _unshare() -> str:
    """Why no process of this host may unshare(2) what slurmrestd does; empty where it may. It is tried on our own."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_SYSVSEM) == 0:
        return ""
    return os.strerror(ctypes.get_errno())


def _loaded(shown: Mapping[str, Mapping[str, Any]], names: Iterable[str]) -> list[str]:
    return [name for name in names if shown.get(name, {}).get("load") not in (None, "not-found")]


def _wanted(fields: Mapping[str, Any]) -> bool:
    return bool(fields) and (fields["enabled"] or fields["active"] != "inactive")


def _process(pid: int) -> dict[str, Any] | None:
    """The process of a unit; of its environment the names, with the values of those that are known to be harmless."""
    found = process(pid)
    if found is not None:
        found["mapped"] = mapped(pid, found["uid"], found["gid"])
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


# --- logs ------------------------------------------------------------------------------------------------------------


def _journal(name: str, slurmrestd: str, facts: Mapping[str, Any]) -> tuple[str, Started]:
    """What the journal has of a unit, being asked for; of several slurmrestd no line without a unit."""
    unit = slurmrestd if name == "slurmrestd" else f"{name}.service"
    if name not in DAEMONS or unit != f"{name}.service":
        return unit, logs.ask(unit)
    conf = "slurmdbd_conf" if name == "slurmdbd" else "slurm_conf"
    account = facts["unit"]["user"] if name == "slurmrestd" else facts[conf]["slurm_user"]
    return unit, logs.ask(unit, name, {0, account_facts(str(account or "root"))["uid"] or 0})


# --- files -----------------------------------------------------------------------------------------------------------


def _conf(path: str, release: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """A configuration as (key in lower case, value, origin); None where it is not there or may not be read."""
    try:
        conf = slurmconf.read(path, read_if_there, beside_includer=bool((release or {}).get("include_beside_includer")))
    except PermissionError:
        return None
    if conf is None:
        return None
    closed = beyond(conf.files)
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


def _closed_includes(facts: Mapping[str, Any]) -> list[str]:
    """Files that slurm.conf includes, and that the account of slurmrestd may not read."""
    account, conf = account_facts(facts["unit"]["user"] or "root"), facts["slurm_conf"]
    included = [path for path in conf.get("files") or () if path != conf["path"]]
    return [path for path in included if access.readable(path, account) is False]


def _file(path: str, account: Mapping[str, Any]) -> dict[str, Any]:
    facts = describe(path, account)
    facts["dangling"] = os.readlink(path) if os.path.islink(path) and not os.path.exists(path) else None
    # A mask: /dev/null behind it is everybody's to write, and decides nothing.
    facts["null"] = os.path.realpath(path) == os.devnull
    with contextlib.suppress(OSError):
        facts["age"] = round(time.time() - os.stat(path).st_mtime, 1)
        facts["account_writes"] = _may_write(path, account)
        behind = posixpath.dirname(os.path.realpath(path))  # of a link both places count
        facts["account_replaces"] = any(_may_write(place, account) for place in {posixpath.dirname(path), behind})
    return facts


def _may_write(path: str, account: Mapping[str, Any]) -> bool:
    if not account["exists"] or account["uid"] == 0:
        return False
    status = os.stat(path)
    own = {"uid": status.st_uid, "gid": status.st_gid, "mode": status.st_mode}
    # Who owns a file may give himself the right to write it.
    return access.may(own, account, 2) or status.st_uid == account["uid"]


def _unix(told: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [entry for entry in told if entry["kind"] == "unix"]


def _directory(path: str, account: Mapping[str, Any]) -> dict[str, Any]:
    """The directory of a socket, and whether something makes it at boot."""
    directory = posixpath.dirname(path)
    facts = describe(directory, account)
    made = [path for top in ("/etc", "/run", "/usr/lib") for path in _made_at_boot(top)]
    return {**facts, "path": directory, "tmpfiles": directory in made, "socket": os.path.exists(path)}


def _made_at_boot(top: str) -> Iterator[str]:
    """Directories that tmpfiles.d(5) makes."""
    for path in glob.glob(posixpath.join(top, "tmpfiles.d", "*.conf")):
        for line in (read_text(path) or "").splitlines():
            fields = line.split()
            if len(fields) > 1 and fields[0][:1] in ("d", "D", "v"):
                yield fields[1]


def _keys(facts: Mapping[str, Any], roles: Sequence[str], salt: str) -> dict[str, dict[str, Any]]:
    """The HS256 key of each daemon here that has one configured, or in slurmctld's case by default."""
    found = {}
    slurm, dbd = facts["slurm_conf"], facts["slurmdbd_conf"]
    for daemon, conf in (("slurmctld", slurm), ("slurmdbd", dbd)):
        if daemon in roles and conf["jwt_key_path"]:
            found[daemon] = _key(conf["jwt_key_path"], conf["slurm_user"], salt)
    return found


def _key(path: str, reader: str, salt: str) -> dict[str, Any]:
    """One key: what ``auth.keys.inspect`` sees, judged, and a fingerprint. ``error`` says why it could not be seen."""
    facts: dict[str, Any] = {"path": path, "reader": reader, "error": None, "exists": False, "fingerprint": None}
    facts["link"] = os.readlink(path) if os.path.islink(path) else None
    try:
        entry = pwd.getpwnam(reader)
        account = {"name": reader, "uid": entry.pw_uid, "gid": entry.pw_gid}
        seen = keys.inspect(path)
        about_directories = keys.refusals({**seen, "exists": False}, account)
        about_all = keys.refusals(seen, account)
        facts.update(seen, reader_uid=entry.pw_uid, directory_problems=about_directories)
        facts["problems"] = [problem for problem in about_all if problem not in about_directories]
        if seen["exists"]:
            status = os.stat(seen["real_path"])
            facts.update(inode=status.st_ino, age=round(time.time() - status.st_ctime, 1))
            facts.update(readable=access.may(seen, account, 4), rotating=os.path.exists(keys.rotation_record(path)))
            facts["ended_without"] = keys.ended_without(path)
            with contextlib.suppress(UnsafePath):  # another account's: that is the finding, and root reads it not
                facts["fingerprint"] = fingerprint(seen["real_path"], salt)
    except (OSError, KeyError, UnsafePath) as error:
        facts["error"] = str(error)
    return facts


def _reach(facts: Mapping[str, Any], conf: Mapping[str, Any] | None, release: Any) -> list[dict[str, Any]]:
    """Whether what slurm.conf names can be resolved and connected to from here.

    Nothing is sent but to a slurmctld that serves HTTP itself: ``answer`` is its status, None where it gives none.
    """
    slurm = facts["slurm_conf"]
    entries = conf["entries"] if conf else []
    named = [entry["value"] for entry in entries if entry["key"] == "slurmctldhost"] or slurm["slurmctld_hosts"]
    port = str(slurm["slurmctld_port"]).partition("-")[0]
    wanted = [("slurmctld", _address(name), port) for name in named[:_MOST_REACHED]]
    if slurm["accounting"]:
        ports = [entry["value"] for entry in entries if entry["key"] == "accountingstorageport"]
        hosts = slurm.get("accounting_storage_hosts") or ["localhost"]
        wanted += [("slurmdbd", name, (ports or ["6819"])[-1]) for name in hosts[:_MOST_REACHED]]
    found = [{"daemon": daemon, "host": name, "port": port, **connect(name, port)} for daemon, name, port in wanted]
    stated = [entry["value"].lower() for entry in entries if entry["key"] == "communicationparameters"]
    if release.get("daemon_http") and "disable_http" not in "".join(stated):
        for entry in found:
            if entry["daemon"] == "slurmctld" and not entry["error"]:
                entry["answer"] = page_status(entry["host"], int(entry["port"]), "/healthz", _PAGE_SECONDS)
    return found


_MOST_REACHED, _PAGE_SECONDS = 3, 5.0


def _address(name: str) -> str:
    """What is connected to by SlurmctldHost=name(address)."""
    return name.partition("(")[2].rstrip(")") or name


def _controllers(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Of several controllers who is in charge, and what this host sees of the state that they share."""
    standing = controllers.look(facts["slurm_conf"])
    if standing is None:
        return None
    state = str(facts["slurm_conf"]["state_save_location"])
    heartbeat = controllers.read_heartbeat(state)
    return {
        "standing": standing.as_dict(),
        "state": state,
        "heartbeat": heartbeat and [heartbeat.index, heartbeat.written],
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


def _user(name: str) -> dict[str, Any]:
    try:
        return {"exists": True, "uid": pwd.getpwnam(name).pw_uid}
    except KeyError:
        return {"exists": False, "uid": None}


def _slurm_users(
    facts: Mapping[str, Any], shown: Mapping[str, Mapping[str, Any]], roles: Sequence[str], names: Sequence[str]
) -> dict[str, int]:
    """The uid that the running slurmctld has for each name; what it has none for is not in it."""
    if "slurmctld" not in roles or not names or shown.get("slurmctld", {}).get("active") != "active":
        return {}
    command = Slurm.of(facts).argv("scontrol", "show", "assoc_mgr", f"users={','.join(names)}", "flags=users")
    output = programs.run(command, limit=programs.LOOKING_SECONDS).stdout
    return {match["name"]: int(match["uid"]) for match in _USER_RECORD.finditer(output) if match["name"] in names}


_USER_RECORD = re.compile(r"^[ \t]*UserName=(?P<name>[^\s(]+)\((?P<uid>\d+)\)", re.MULTILINE)


def _manager_variables() -> list[str]:
    """Names of Slurm's variables that systemd itself gives to every service (systemctl set-environment)."""
    shown = programs.run(["systemctl", "show-environment"], limit=programs.LOOKING_SECONDS).stdout
    return sorted(line.partition("=")[0] for line in shown.splitlines() if line.startswith("SLURM"))


def _exported() -> list[str]:
    """``file:line`` of what puts SLURM_JWT into the environment of everybody's commands."""
    found = []
    for path in (path for pattern in _EXPORTING_FILES for path in sorted(glob.glob(pattern))):
        if posixpath.basename(path) == "slurmrestd" or not os.path.isfile(path):
            continue
        for number, line in enumerate((read_text(path) or "").splitlines(), start=1):
            if _ASSIGNS_JWT.match(line) or _EXPORTS_TOKEN.match(line):
                found.append(f"{path}:{number}")
    return found
