"""What confines the slurmrestd that runs, as this host shows it; :mod:`.sandbox` judges that.

systemd leaves out without a word what a container or a kernel does not let it do (systemd.exec(5)), so /proc and the
control groups are asked instead of the unit.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..host import proc as processes
from ..host import programs
from ..host.private import link, private
from . import show
from .security import HostSecurity, security

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAMESPACES = ("mnt", "user", "uts")

_ROOM = {"MemoryMax": ("memory", "memory.max", "memory.limit_in_bytes"), "TasksMax": ("pids", "pids.max", "pids.max")}

WATCHED = (
    "CapabilityBoundingSet",
    "NoNewPrivileges",
    "PrivateDevices",
    "PrivateMounts",
    "PrivateTmp",
    "PrivateUsers",
    "ProcSubset",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectHostname",
    "ProtectKernelTunables",
    "ProtectProc",
    "ProtectSystem",
    "SystemCallFilter",
    "MemoryMax",
    "TasksMax",
    "IPAddressDeny",
)
"""Directives that can be judged from outside (:mod:`.sandbox`)."""

PLACES = ("/", "/dev", "/home", "/proc", "/proc/sys", "/root", "/sys/fs/cgroup", "/tmp", "/usr")  # noqa: S108 - looked at
"""Where mounts are judged: a host may have thousands."""

_CONFINING = re.compile(
    r"(?m)^((?:CapabilityB|IPAddress|LockP|MemoryDeny|MemoryMax|NoNew|Private|Proc|Protect|RemoveIPC|Restrict|SystemCall"
    r"|TasksMax)[A-Za-z]*)="
)
"""Lines of a unit that take rights away."""

_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}  # bpf(2), by architecture

_BPF_PROG_QUERY, _INGRESS = 16, 0


@dataclass(frozen=True)
class Mount:
    """One mount point of a /proc/PID/mountinfo."""

    root: str
    options: str
    kind: str
    source: str
    super_options: str


@dataclass(frozen=True)
class ConfinedProcess:
    """What /proc tells of a process; ``namespaces`` and ``mounts`` are empty where nobody may look."""

    status: Mapping[str, str] = field(default_factory=dict)
    namespaces: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, Mount] = field(default_factory=dict)
    label: str = ""  # of SELinux or AppArmor

    def number(self, name: str, base: int = 10) -> int | None:
        """A number of its status."""
        return int(self.status[name], base) if name in self.status else None


@dataclass(frozen=True)
class Confinement:
    """A running service: its directives as systemd has read them, its main process, and the first one of the host.

    ``room``: what its control group allows by the directive that says so, None without a limit. ``filters``: programs
    in the kernel that look at its packets, None where it cannot be told. ``unknown``: directives that this systemd is
    too old for, which it passes over.
    """

    wanted: Mapping[str, str]
    process: ConfinedProcess
    init: ConfinedProcess
    room: Mapping[str, int | None] = field(default_factory=dict)
    filters: int | None = None
    host: HostSecurity = field(default_factory=HostSecurity)
    unknown: Sequence[str] = ()


def look(unit: str) -> Confinement | None:
    """See what confines a unit's main process; None where there is no systemd, or the unit does not run.

    Args:
        unit: its name, such as ``slurmrestd.service``.
    """
    started = [programs.start(argv) for argv in (show.command([unit]), ["systemctl", "cat", unit])]
    output, text = (programs.finish(one).stdout for one in started)
    shown = next(iter(show.blocks(output)), {})
    pid, group = show.number(shown, "MainPID"), shown.get("ControlGroup", "")
    if not pid:
        return None
    return Confinement(
        {name: shown[name] for name in WATCHED if name in shown},
        _process(pid),
        _process(1),
        {name: _room(group, *files) for name, files in _ROOM.items()},
        _filters(group) if shown.get("IPAddressDeny") else None,
        security(),
        tuple(sorted({name for name in _CONFINING.findall(text) if name not in shown})),
    )


def mounts(mountinfo: str) -> dict[str, Mount]:
    """Mount points of a /proc/PID/mountinfo; of several at one point the last, which hides the others (proc(5))."""
    found = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, more = before.split(), after.split()
        if len(fields) > 5 and len(more) > 2:
            found[fields[4]] = Mount(fields[3], fields[5], more[0], more[1], more[2])
    return found


def _process(pid: int) -> ConfinedProcess:
    lines = (line.partition(":") for line in (processes.read_text(f"/proc/{pid}/status") or "").splitlines())
    status = {name: value.strip() for name, _, value in lines}
    ids = {name: int(status[name].split()[1]) for name in ("Uid", "Gid") if name in status}
    seen = private(pid, "mountinfo", ids.get("Uid", 0), ids.get("Gid", 0))
    links = {kind: link(pid, f"ns/{kind}", ids.get("Uid", 0), ids.get("Gid", 0)) for kind in _NAMESPACES}
    label = (processes.read_text(f"/proc/{pid}/attr/current") or "").strip("\0\n ")
    mounted = {path: mount for path, mount in mounts(seen or "").items() if path in PLACES}
    return ConfinedProcess(status, {kind: link for kind, link in links.items() if link}, mounted, label)


def _control_groups() -> Mapping[str, str]:
    """Where control groups are mounted, by controller; ``""`` is the unified hierarchy."""
    found = {}
    for path, mount in mounts(processes.read_text("/proc/self/mountinfo") or "").items():
        if mount.kind == "cgroup2":
            found[""] = path
        elif mount.kind == "cgroup":
            found.update(dict.fromkeys(mount.super_options.split(","), path))
    return found


def _room(group: str, controller: str, unified: str, legacy: str) -> int | None:
    tops = _control_groups()
    places = [(tops.get(""), unified), (tops.get(controller), legacy)]
    texts = (processes.read_text(f"{top}{group}/{name}") for top, name in places if top)
    return next((int(text) for text in texts if text and text.strip().isdigit()), None)


def _filters(group: str) -> int | None:
    """How many programs look at what a control group receives (BPF_PROG_QUERY of bpf(2)).

    Who may not ask may not attach one either: then systemd, in the same container, could not.
    """
    number, top = _BPF.get(platform.machine()), _control_groups().get("")
    if number is None or top is None:
        return None if number is None else 0
    try:
        descriptor = os.open(f"{top}{group}", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        # target_fd, attach_type, query_flags, attach_flags, prog_ids (64 bits), prog_cnt; zeroes for what is newer.
        query = (ctypes.c_uint32 * 32)(descriptor, _INGRESS)
        libc = ctypes.CDLL(None)
        return 0 if libc.syscall(number, _BPF_PROG_QUERY, ctypes.byref(query), 128) else int(query[6])
    finally:
        os.close(descriptor)
