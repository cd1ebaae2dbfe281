"""All that a doctor wants to see of one host: what :mod:`.evidence` has, and what takes longer. Changes nothing.

Keys are compared by a keyed fingerprint whose salt the caller throws away.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import posixpath
import pwd
import re
import socket
import time
from typing import TYPE_CHECKING, Any

from ..host import access, programs
from ..host.access import describe
from ..host.identity import account_facts
from ..host.memory_map import mapped
from ..host.page import page_status
from ..host.private import link
from ..host.proc import read_text
from ..host.reading import UnsafePath
from ..slurm.commands import Slurm
from ..slurm.version import columns_of
from ..slurmrestd import unit_places
from . import evidence, logs, munge, plugin_files, unit_evidence, unit_states
from .closed import closed
from .evidence import unix
from .fingerprint import fingerprint
from .reaching import LOCAL, reach
from .unit_states import DAEMONS, DATABASES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ..host.programs import Started

SETTLE_SECONDS = 12.0
"""How long a unit that is on its way somewhere may take to get there."""

YOUNG_SECONDS = 2.0
"""A daemon that fails does so within this time after its start; younger ones are looked at again."""

_CLONE_SYSVSEM = 0x00040000  # sched.h
_ASSIGNS_JWT = re.compile(r"""^\s*(?:export\s+|declare\s+-x\s+|setenv\s+|DefaultEnvironment=.*?)?["']?SLURM_JWT[=\s]""")
_EXPORTS_TOKEN = re.compile(r"^\s*export\s+[\"']?(?:\$\(|`)\s*scontrol\s+token\b")
_EXPORTING_FILES = (
    *("/etc/environment", "/etc/environment.d/*.conf", "/etc/profile", "/etc/profile.d/*", "/etc/bash.bashrc"),
    *("/etc/bashrc", "/etc/zsh/zshenv", "/etc/zshenv", "/etc/security/pam_env.conf", "/etc/default/slurm*"),
    *("/etc/sysconfig/slurm*", "/etc/systemd/system.conf", "/etc/systemd/system.conf.d/*.conf"),
    *("/root/.profile", "/root/.bash_profile", "/root/.bashrc"),
)


def gather(options: Mapping[str, Any], found: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Everything that the rules of the doctor want to know of this host.

    Args:
        found: as for :func:`.evidence.gather`.
        options: as well. And, also optional, ``salt``: text for the fingerprints of keys; without one there are none.
            ``users``: names to look up.
    """
    slurmrestd = unit_places.unit_names(options.get("instance") or "")[0]
    units_now = settled(slurmrestd)
    seen = found or evidence.look(options)
    asked = [*DAEMONS, "munge", *_loaded(units_now, DATABASES)]
    journals = {name: _journal(name, slurmrestd, seen) for name in asked}
    told = evidence.gather(options, seen, units_now)
    facts, roles, conf = told["facts"], told["roles"], told["confs"]["slurm_conf"]
    release = columns_of(options.get("columns") or (), facts["version"]) or {}
    listeners = [entry["listener"] for entry in facts["unit"]["listeners"] if entry["listener"]]
    salt, users = options.get("salt") or "", options.get("users") or ()
    rest, effective = "slurmrestd" in roles, unit_evidence.effective(units_now)
    return {
        **told,
        "processes": {name: _with_mapped(process) for name, process in told["processes"].items()},
        "journal": {name: logs.lines(started, unit) for name, (unit, started) in journals.items()},
        **unit_evidence.details(facts),
        "program": unit_evidence.program(facts["unit"]["exec_start"]),
        "environment_files_gone": unit_evidence.environment_files_gone(effective),
        "commands_failed": unit_evidence.commands_failed(units_now, effective),
        "unit_lines": unit_evidence.lines(effective),
        "needs_unmet": unit_states.needs_unmet(units_now),
        "plugin_files": plugin_files.look(facts, roles, told["confs"]),
        "closed_includes": _closed_includes(facts),
        "closed_conf": closed(facts["slurm_conf"]["path"], account_facts(facts["unit"]["user"] or "root")),
        "directories": {entry["path"]: _directory(entry["path"], facts["account"]) for entry in unix(listeners)},
        "keys": {daemon: _with_fingerprint(key, salt) for daemon, key in told["keys"].items()},
        "reach": _reach(facts, conf, release) if rest else [],
        "storage": _storage(told["confs"]["slurmdbd_conf"]) if "slurmdbd" in roles else [],
        "not_here": not_here(facts["unit"]["listeners"]) if rest else {},
        "munge": {**told["munge"], "key": _munge_key(told["munge"], salt)},
        "unshare": _unshare(),
        "slurm_users": _slurm_users(facts, units_now, roles, users),
        "users": {name: _user(name) for name in users},
        "exported": _exported(),
        "manager": _manager_variables(),
    }


def settled(slurmrestd: str = unit_places.UNIT) -> dict[str, dict[str, Any]]:
    """State of the units once none of them is on its way, or after :data:`SETTLE_SECONDS`."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        shown = unit_states.look(slurmrestd)
        moving = [name for name, fields in shown.items() if _moving(fields)]
        if not moving or time.monotonic() > deadline:
            return shown
        time.sleep(0.3)


def _moving(fields: Mapping[str, Any]) -> bool:
    """Whether a look in a moment could show something else: a job waits, or the daemon has only just started."""
    if fields["sub"] == "auto-restart":
        return False
    between = fields["active"] in ("activating", "deactivating", "reloading")
    return between or bool(fields["job"]) or (fields["active"] == "active" and fields["age"] < YOUNG_SECONDS)


def _with_mapped(process: dict[str, Any]) -> dict[str, Any]:
    """The same process with what it has mapped, and whether it has a network of its own (None: nobody can tell)."""
    ids = (process["pid"], process["uid"], process["gid"])
    network = link(ids[0], "ns/net", *ids[1:])
    apart = None if network is None else network != os.readlink("/proc/self/ns/net")
    return {**process, "mapped": mapped(*ids), "network_apart": apart}


def _with_fingerprint(key: dict[str, Any], salt: str) -> dict[str, Any]:
    """The same key with its fingerprint, where it can be read."""
    if not key["exists"] or key["error"]:
        return key
    try:
        return {**key, "fingerprint": fingerprint(key["real_path"], salt)}
    except UnsafePath:  # another account's: that is the finding, and root reads it not
        return key
    except OSError as error:
        return {**key, "error": str(error)}


def _munge_key(seen: Mapping[str, Any], salt: str) -> str | None:
    with contextlib.suppress(OSError, UnsafePath):
        return fingerprint(munge.KEY, salt) if seen["used"] else None
    return None


def _unshare() -> str:
    """Why no process of this host may unshare(2) what slurmrestd does; empty where it may. It is tried on our own."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_SYSVSEM) == 0:
        return ""
    return os.strerror(ctypes.get_errno())


def _loaded(shown: Mapping[str, Mapping[str, Any]], names: Iterable[str]) -> list[str]:
    return [name for name in names if shown.get(name, {}).get("load") not in (None, "not-found")]


def _journal(name: str, slurmrestd: str, facts: Mapping[str, Any]) -> tuple[str, Started]:
    """What the journal has of a unit, being asked for; of several slurmrestd no line without a unit."""
    unit = slurmrestd if name == "slurmrestd" else f"{name}.service"
    if name not in DAEMONS or unit != f"{name}.service":
        return unit, logs.ask(unit)
    conf = "slurmdbd_conf" if name == "slurmdbd" else "slurm_conf"
    account = facts["unit"]["user"] if name == "slurmrestd" else facts[conf]["slurm_user"]
    return unit, logs.ask(unit, name, {0, account_facts(str(account or "root"))["uid"] or 0})


def _closed_includes(facts: Mapping[str, Any]) -> list[str]:
    """Files that slurm.conf includes, and that the account of slurmrestd may not read."""
    account, conf = account_facts(facts["unit"]["user"] or "root"), facts["slurm_conf"]
    included = [path for path in conf.get("files") or () if path != conf["path"]]
    return [path for path in included if access.readable(path, account) is False]


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
    found = [{"daemon": daemon, "host": name, "port": port, **reach(name, port)} for daemon, name, port in wanted]
    stated = [entry["value"].lower() for entry in entries if entry["key"] == "communicationparameters"]
    if release.get("daemon_http") and "disable_http" not in "".join(stated):
        for entry in found:
            if entry["daemon"] == "slurmctld" and not entry["error"]:
                entry["answer"] = page_status(entry["host"], int(entry["port"]), "/healthz", _PAGE_SECONDS)
    return found


_MOST_REACHED, _PAGE_SECONDS = 3, 5.0


def _storage(conf: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Whether the databases that slurmdbd.conf names on other hosts can be resolved and connected to from here."""
    stated = {entry["key"]: entry for entry in (conf["entries"] if conf else ())}
    port = stated["storageport"]["value"] if "storageport" in stated else "3306"
    named = [stated[key] for key in ("storagehost", "storagebackuphost") if key in stated]
    if any(entry["value"] in LOCAL or entry["value"].startswith("/") for entry in named):
        return []
    return [{"host": entry["value"], "port": port, **reach(entry["value"], port)} for entry in named]


def _address(name: str) -> str:
    """What is connected to by SlurmctldHost=name(address)."""
    return name.partition("(")[2].rstrip(")") or name


def _user(name: str) -> dict[str, Any]:
    try:
        return {"exists": True, "uid": pwd.getpwnam(name).pw_uid}
    except (KeyError, ValueError):  # ValueError: what no account can be called
        return {"exists": False, "uid": None}


def _slurm_users(
    facts: Mapping[str, Any], shown: Mapping[str, Mapping[str, Any]], roles: Sequence[str], names: Sequence[str]
) -> dict[str, int] | None:
    """The uid that the running slurmctld has for each name; what it has none for is not in it. None: nobody asked."""
    if "slurmctld" not in roles or not names or shown.get("slurmctld", {}).get("active") != "active":
        return None
    asked = ",".join(filter(_NAME.fullmatch, names))
    command = Slurm.of(facts).argv("scontrol", "show", "assoc_mgr", f"users={asked}", "flags=users")
    output = programs.run(command, limit=programs.LOOKING_SECONDS).stdout
    if _ANSWERED not in output:
        return None
    return {match["name"]: int(match["uid"]) for match in _USER_RECORD.finditer(output) if match["name"] in names}


_ANSWERED = "Association Manager"
_NAME = re.compile(r"[\w.@+-]+")
_USER_RECORD = re.compile(r"^[ \t]*UserName=(?P<name>[^\s(]+)\((?P<uid>[0-9]{1,10})\)", re.MULTILINE)


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


def not_here(told: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Why what slurmrestd is told to bind is no address of this host, by its text; nothing of good ones.

    A port of the kernel's choice is bound there for a moment.
    """
    found = {}
    for entry in told:
        listener = entry["listener"]
        if listener and listener["kind"] == "tcp" and listener["host"]:
            try:
                with socket.create_server((listener["host"], 0), family=_family(listener["host"])):
                    pass
            except OSError as error:
                found[entry["text"]] = error.strerror or str(error)
    return found


def _family(host: str) -> socket.AddressFamily:
    return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][0]
