"""Evidence for :mod:`.restart_obstacles`: what is to be known of a running daemon before it is restarted.

It changes nothing. What cannot be found out stays empty, and nothing is concluded from that but that it is said: a look
must never be the reason why a cluster that would restart does not. Programs of Slurm that would tell what slurmctld
forgets, and are not there, are a reason: a look that is never possible would be none.

Command line, environment, program and libraries of a process are what its account wants them to be, and that is seldom
root's. So programs are run here as that account, on what the process names.
"""

from __future__ import annotations

import os
import posixpath
import pwd
import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import InputError, SlurmrestError
from ..host.child import holds_for
from ..host.eyes import eyes_of
from ..host.places import read
from ..host.private import private
from ..host.programs import MISSING
from ..host.reading import UnsafePath, read_site
from ..host.sockets import listening_sockets
from ..slurm import conf as slurmconf
from ..slurm.commands import Slurm
from ..slurm.ports import ports_of
from ..slurm.version import Version
from . import database_login
from .restart_asking import NOT_THERE, Asking
from .restart_columns import RestartColumns, row_of
from .restart_obstacles import CONTROLLER, DATABASE, REST, Evidence, judge, named_plugins, records, remaining
from .restart_process import Running, running_daemon

if TYPE_CHECKING:
    from ..host.programs import Run
    from ..slurm.version import Excerpt
    from .specs import ServiceSpec

DAEMONS = (DATABASE, CONTROLLER, REST)
_MISSING = re.compile(r"^[ \t]*(\S+) => not found", re.MULTILINE)
_LOADED = re.compile(r" (/\S+)/((?:accounting_storage|(?:rest_)?auth|select)_\w+)\.so")
_LUA = "job_submit.lua"
_RESOLVING_SECONDS = 10.0
_REGISTERING_SECONDS = 15.0
_NAME_BYTES = 512  # of the file that has the name of a cluster
# ESLURM_DB_CONNECTION and its like in src/common/slurm_errno.c; not: no slurmdbd that answers.
_LOGIN = re.compile(r"(?im)^.*(?:unable to connect to database|database connection|mysql|access denied).*$")


class WouldNotReturn(SlurmrestError):
    """A daemon that runs would not come back from a restart, or would forget something: nothing was changed."""


def look_ahead(
    services: Sequence[ServiceSpec], run: Run, table: Excerpt, texts: Mapping[str, str | None] | None = None
) -> list[str]:
    """What nobody could look at; WouldNotReturn when :func:`outlook` has reasons not to restart one of the services."""
    found, unseen = outlook(services, run, table, texts)
    if found:
        daemons = " and ".join(service.name for service in services)
        error = WouldNotReturn(f"Nothing was changed, and {daemons} not restarted:\n- " + "\n- ".join(found))
        error.details["restart"] = found
        raise error
    return unseen


class Outlook(NamedTuple):
    """Why services are better not restarted or reconfigured, and what could not be looked at, in words."""

    refusals: list[str]
    unseen: list[str]


def outlook(
    services: Sequence[ServiceSpec], run: Run, table: Excerpt, texts: Mapping[str, str | None] | None = None
) -> Outlook:
    """What a restart of services that run would come to; nothing is said of one that does not run.

    Args:
        services: units; others than slurmctld, slurmdbd and slurmrestd are passed over.
        run: runs a program.
        table: :data:`.restart_columns.COLUMNS` of the release table.
        texts: files as they will be, by path; None for one that will be gone.
    """
    found = Outlook([], [])
    for service in services:
        unit = service.name.partition(".")[0]
        daemon = unit.partition("@")[0]
        pid = _pid(unit, run) if daemon in DAEMONS else 0
        if pid:
            # Another slurmrestd has no state that it would convert: that is what its restart is for.
            becomes = service.becomes if service.replacing or daemon == REST else None
            seen = gather(daemon, pid, run, table, texts or {}, becomes=becomes)
            found.refusals.extend(map(str, remaining(judge(seen), allow_loss=service.allow_state_loss)))
            found.unseen.extend(seen.unseen)
    return found


def gather(
    daemon: str, pid: int, run: Run, table: Excerpt, texts: Mapping[str, str | None], *, becomes: str | None = None
) -> Evidence:
    """Look at a daemon that runs as process `pid`; it `becomes` another release: "" is the one that is installed."""
    it = running_daemon(daemon, pid, run)
    running, program = it.process, it.program
    main = posixpath.join(posixpath.dirname(it.conf), "slurmdbd.conf") if daemon == DATABASE else it.conf
    run = it.run_by(run)
    ask = Asking(Slurm(it.conf, it.prefix, run))
    shown = _shown(ask) if daemon == CONTROLLER else {}
    installed, words = _version(run, program)
    version = _words_version(shown.get("slurm_version", "")) or (installed or "" if not it.gone else "")
    release = row_of(table, becomes or installed or version)  # of what would start
    conf, loaded = _conf(main, texts, release), _conf(main, {}, release)
    named = named_plugins(daemon, conf, shown)
    loaded_from, loaded_names = _loaded(running)
    named = {file: why for file, why in named.items() if daemon != REST or file in loaded_names}
    directories = (_said(conf, shown, "PluginDir") or loaded_from).split(":")
    gone = {name.replace("/", "_") for name in release.removed_plugins} if becomes and release else set()
    there = named if any(map(os.path.isdir, directories)) else {}
    plugins = {file: "" if file in gone else _found(f"{file}.so", directories) for file in there}
    user = _said(conf, shown, "SlurmUser").partition("(")[0]
    seen: dict[str, Any] = {
        "release": release,
        "conf": conf,
        "loaded": loaded,
        "shown": shown,
        "user": user,
        "running_version": version,
        "program": program,
        "program_version": installed,
        "program_error": words,
        "replacing": becomes is not None,
        "plugin_dir": directories[0],
        "plugins": plugins,
        "missing_libraries": _missing_libraries(ask, [program, *filter(None, plugins.values())], running),
        "ports": _foreign_ports(daemon, conf, pid),
    }
    if daemon == CONTROLLER:
        seen.update(_controller(ask, seen))
    elif daemon == DATABASE:
        seen["database_error"] = _database_error(ask, it, lambda: _conf(main, texts, release))
    return Evidence(daemon, unseen=ask.unseen(daemon), **seen)


def _pid(daemon: str, run: Run) -> int:
    text = run(["systemctl", "show", "-p", "MainPID", daemon]).stdout.strip().rpartition("=")[2]
    return int(text) if text.isdigit() else 0


def _shown(ask: Asking) -> dict[str, str]:
    """``scontrol show config``, keys in lower case."""
    done = ask("scontrol", "show", "config")
    pairs = (line.partition("=") for line in done.stdout.splitlines() if "=" in line) if done.returncode == 0 else ()
    return {key.strip().lower(): value.strip() for key, _equals, value in pairs}


def _said(conf: slurmconf.SlurmConf | None, shown: Mapping[str, str], key: str) -> str:
    """What the file says, or else what is in force."""
    return (conf.get(key) if conf else None) or shown.get(key.lower(), "")


def _version(run: Run, program: str) -> tuple[str | None, str]:
    """The version that a program prints, None where it does not even do that, and what it says instead."""
    if not program:
        return "", ""
    if not os.path.exists(program):
        return None, ""
    done = run([program, "-V"])
    if done.returncode != 0:
        return None, " ".join((done.stderr or done.stdout).strip().splitlines()[-1:])
    return _words_version(done.stdout), ""


def _words_version(text: str) -> str:
    try:
        return str(Version.parse(text))
    except InputError:
        return ""


def _conf(path: str, texts: Mapping[str, str | None], release: RestartColumns | None) -> slurmconf.SlurmConf | None:
    def text(name: str) -> str | None:
        if name in texts:
            return texts[name]
        try:
            return read_site(name).decode("utf-8", "surrogateescape")
        except (OSError, UnsafePath):
            return None

    return slurmconf.read(path, text, beside_includer=bool(release and release.include_beside_includer))


def _loaded(running: Mapping[str, Any] | None) -> tuple[str, set[str]]:
    """Where a process has the plugins from that it loaded, and the names of those for accounting, tokens and nodes."""
    maps = private(running["pid"], "maps", running["uid"], running["gid"]) if running else None
    found = _LOADED.findall(maps or "")
    return (found[0][0] if found else ""), {name for _directory, name in found}


def _found(file: str, directories: Sequence[str]) -> str:
    paths = (posixpath.join(directory, file) for directory in directories)
    return next(filter(os.path.exists, paths), "")


def _missing_libraries(ask: Asking, files: Sequence[str], running: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """Libraries that the loader does not find, for each file that has such."""
    there = [file for file in files if file and os.path.exists(file)]
    where = ((running and running["environment"]) or {}).get("LD_LIBRARY_PATH")
    if not there:
        return {}
    # Twice the first: ldd heads its answers with the file's name only when there are several.
    done = ask.slurm.run(["env", *([f"LD_LIBRARY_PATH={where}"] if where else []), "LC_ALL=C", "ldd", there[0], *there])
    if done.returncode == MISSING:
        ask.silent["ldd"] = NOT_THERE
    missing: dict[str, list[str]] = {}
    for part in re.split(r"^(?=/\S+:$)", done.stdout, flags=re.MULTILINE):
        head, _colon, rest = part.partition(":\n")
        libraries = _MISSING.findall(rest)
        if libraries:
            missing[head] = list(dict.fromkeys(libraries))
    return missing


def _foreign_ports(daemon: str, conf: slurmconf.SlurmConf | None, pid: int) -> dict[int, str]:
    """Ports of the daemon that another program holds."""
    if daemon == REST:
        return {}  # its listeners are judged by whoever writes them
    key, default = ("SlurmctldPort", "6817") if daemon == CONTROLLER else ("DbdPort", "6819")
    held = {}
    for entry in listening_sockets({"tcp": ports_of(conf.get(key) or default) if conf else ()}):
        # slurmctld forks for a reconfigure: a process of its name is its own.
        if entry["pid"] and entry["pid"] != pid and entry["program"] != daemon:
            held[entry["port"]] = f"{entry['program']} (process {entry['pid']})"
    return held


def _controller(ask: Asking, seen: Mapping[str, Any]) -> dict[str, Any]:
    conf, shown, release = seen["conf"], seen["shown"], seen["release"]
    state = _said(conf, shown, "StateSaveLocation")
    host = shown.get("slurmctldhost[0]", "").partition("(")[0].partition(".")[0]
    state = state.replace("%h", host).replace("%n", host)
    found: dict[str, Any] = {"state_dir": state, "state_dir_error": _unwritable(state, seen["user"]) if state else ""}
    found["clustername"] = _cluster_name(posixpath.join(state, "clustername"))
    if _said(conf, shown, "AccountingStorageType").lower().endswith("slurmdbd"):
        name = _said(conf, shown, "ClusterName")
        found["clusters"] = _registered(ask, name) if release and release.cluster_id_checked else _clusters(ask, False)
    submit = ((conf.get("JobSubmitPlugins") if conf else None) or "").lower().replace("job_submit/", "").split(",")
    script = posixpath.join(posixpath.dirname(ask.slurm.conf), _LUA)
    found["absent_files"] = {script: "JobSubmitPlugins"} if "lua" in submit and not os.path.exists(script) else {}
    saving = seen["loaded"] and seen["loaded"].get("SuspendProgram")
    need = not saving and (not release or release.nodes_need_address)
    return {**found, **_memory(ask, need), "unasked": ask.absent()}


def _cluster_name(path: str) -> str | None:
    """The first line of the file; none where it is a link of SlurmUser's, who could have root read any file."""
    try:
        lines = read(path, _NAME_BYTES).decode("utf-8", "replace").splitlines(keepends=True)
    except (OSError, UnsafePath):
        return None
    return "".join(lines[:1])


def _registered(ask: Asking, name: str) -> dict[str, tuple[str, str]] | None:
    """The clusters of the database; slurmctld takes itself out when it stops, and in some seconds after its start."""
    until = time.monotonic() + _REGISTERING_SECONDS
    while True:
        clusters = _clusters(ask, True)
        absent = [key for key, (host, _id) in (clusters or {}).items() if key == name.lower() and not host]
        if not absent or time.monotonic() >= until:
            return clusters
        time.sleep(1.0)


def _clusters(ask: Asking, with_id: bool) -> dict[str, tuple[str, str]] | None:
    names = "cluster,controlhost,id" if with_id else "cluster,controlhost"
    done = ask("sacctmgr", "--noheader", "--parsable2", "show", "cluster", f"format={names}")
    if done.returncode != 0:
        return None
    rows = ([*line.split("|"), "", ""] for line in done.stdout.splitlines() if line.strip())
    return {row[0]: (row[1], row[2]) for row in rows}


def _memory(ask: Asking, need_address: bool) -> dict[str, Any]:
    """What slurmctld knows of nodes, partitions and pending jobs."""
    found: dict[str, Any] = {}
    for name, kind, key in (("nodes", "node", "NodeName"), ("partitions", "partition", "PartitionName")):
        done = ask("scontrol", "--all", "--oneliner", "show", kind)
        shown = records(done.stdout) if done.returncode == 0 else ()
        found[name] = [record for record in shown if key in record] or None
    found["unaddressed"] = list(_unaddressed(found["nodes"] or ())) if need_address else ()
    done = ask("squeue", "--all", "--noheader", "--states=PD", "--format=%i|%u|%n")
    rows = (line.split("|") for line in done.stdout.splitlines()) if done.returncode == 0 else ()
    found["jobs"] = [
        {"id": row[0], "user": row[1], "nodes": row[2]}
        for row in rows
        if len(row) == 3 and row[2] not in ("", "(null)")
    ]
    return found


def _unaddressed(nodes: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """Those of the cloud, made with scontrol, whose address is not resolved here in time."""
    until = time.monotonic() + _RESOLVING_SECONDS
    for node in nodes:
        if {"DYNAMIC_NORM", "CLOUD"} <= set(node.get("State", "").split("+")):
            try:
                if time.monotonic() < until and socket.getaddrinfo(node.get("NodeAddr") or node["NodeName"], None):
                    continue
            except (OSError, UnicodeError):
                pass
            yield node["NodeName"]


def _database_error(ask: Asking, it: Running, conf: Callable[[], slurmconf.SlurmConf | None]) -> str:
    """What slurmdbd says when it has to ask its database; every client gets a connection of its own.

    The database itself is asked where nobody can ask slurmdbd.
    """
    done = ask("sacctmgr", "--noheader", "--parsable2", "show", "cluster", "format=cluster")
    said = _LOGIN.search(done.stderr + done.stdout) if done.returncode != 0 else None
    if done.returncode == 0 or said:
        ask.silent.pop("sacctmgr", None)
        return said[0].strip() if said else ""
    with eyes_of(it.account[0]):  # its password goes to the account that reads it
        own = conf()
    try:
        refused = database_login.refusal(own, it.process, it.account)
    except database_login.CannotTry as why:
        ask.silent["sacctmgr"] = f"{ask.silent.get('sacctmgr', NOT_THERE)}; {why}"
        return ""
    ask.silent.pop("sacctmgr", None)
    return refused


def _unwritable(path: str, account: str) -> str:
    """Why an account cannot write in a directory; empty when it can. Tried as that account, so that ACLs count."""
    if not os.path.isdir(path):
        return "the directory is not there"
    try:
        status = os.statvfs(path)
        entry = pwd.getpwnam(account)
    except (OSError, KeyError):
        return ""
    if status.f_flag & os.ST_RDONLY:
        return "it is mounted read-only"
    if status.f_blocks and not status.f_bavail and not (entry.pw_uid == 0 and status.f_bfree):
        return "its disk is full"
    may = holds_for(entry, lambda: os.access(path, os.W_OK | os.X_OK))
    return f"{account} may not write there" if may is False else ""
