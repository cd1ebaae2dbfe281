"""What confines the slurmrestd that runs: which directives of its sandbox are in force, and what the host adds.

systemd leaves out without a word what a container or a kernel does not let it do (systemd.exec(5)), so /proc and the
control groups are asked instead of the unit. Judging is pure; :func:`look` is the edge.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable, Optional

from ..host import proc as processes
from ..host import programs
from . import show

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CLIENTS = "slurmrestd_service_clients"
MOUNTS, LIMITS, FILTER = "mounts", "limits", "filter"

_CAP_SYS_ADMIN = 21
_NAMESPACES = ("mnt", "user", "uts")
_ROOM = {"MemoryMax": ("memory", "memory.max", "memory.limit_in_bytes"), "TasksMax": ("pids", "pids.max", "pids.max")}
_UNWANTED = ("", "no", "default", "all", "infinity")
"""What ``systemctl show`` says of a directive that asks for nothing."""

_CONFINING = re.compile(
    r"(?m)^((?:CapabilityB|IPAddress|LockP|MemoryDeny|MemoryMax|NoNew|Private|Proc|Protect|RemoveIPC|Restrict|SystemCall"
    r"|TasksMax)[A-Za-z]*)="
)
"""Lines of a unit that take rights away."""

_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}  # bpf(2), by architecture
_BPF_PROG_QUERY, _INGRESS = 16, 0

Verdict = Optional[bool]
"""Whether a directive is in force; None where nobody may look."""


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
class HostSecurity:
    """Security modules and modes of a host: ``selinux`` is enforcing, permissive, or empty."""

    fips: bool = False
    selinux: str = ""
    apparmor: bool = False


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

    def verdicts(self) -> Mapping[str, Verdict]:
        """Of each directive that is asked for, and can be judged from outside: whether it is in force."""
        return {name: judge(self) for name, (_group, judge) in _JUDGES.items() if self._wants(name)}

    def _wants(self, name: str) -> bool:
        if name == "CapabilityBoundingSet":
            return self.wanted.get(name) == ""
        return self.wanted.get(name, "") not in _UNWANTED

    def warnings(self) -> list[str]:
        """What the unit asks for and does not get, and why."""
        verdicts = self.verdicts()
        missing = {
            group: [name for name, value in verdicts.items() if value is False and _JUDGES[name][0] == group]
            for group in (MOUNTS, LIMITS, FILTER)
        }
        powerless = not (self.init.number("CapBnd", 16) or 0) >> _CAP_SYS_ADMIN & 1
        reasons = {
            MOUNTS: "systemd has no CAP_SYS_ADMIN in this container"
            if powerless
            else "the kernel does not let systemd",
            LIMITS: "its control groups have no controller for it",
            FILTER: f"the kernel filters no packets for systemd, so {CLIENTS} keeps nobody away: use a firewall",
        }
        found = [
            f"The unit asks for {', '.join(names)}, which is not in force here: {reasons[group]}."
            for group, names in missing.items()
            if names
        ]
        if self.unknown:
            found.append(f"This systemd does not know {', '.join(self.unknown)}, which is not in force here.")
        unseen = [name for name, value in verdicts.items() if value is None]
        if unseen:
            found.append(f"Nobody here may see whether these are in force: {', '.join(unseen)}.")
        return found

    def notes(self) -> Iterator[str]:
        """What is known of this host's FIPS mode, SELinux and AppArmor."""
        if self.host.fips:
            yield (
                "This host is in FIPS mode, which allows what tokens need (HMAC and RSA with SHA-256); slurmrestd "
                "itself was not tried on such a host."
            )
        if self.host.selinux:
            free = not self.process.label or any(f":{kind}:" in self.process.label for kind in _UNCONFINED)
            does = "has no policy for slurmrestd" if free else "confines slurmrestd"
            yield f"SELinux is {self.host.selinux} and {does} (it runs as {self.process.label or 'nothing known'})."
        if self.host.apparmor:
            if self.process.label in ("", "unconfined"):
                yield "AppArmor is on and has no profile for slurmrestd."
            else:
                yield f"AppArmor confines slurmrestd: {self.process.label}. What it denies is in the kernel's log."


_UNCONFINED = ("unconfined_service_t", "unconfined_t", "initrc_t", "init_t")


def _namespace(kind: str) -> Callable[[Confinement], Verdict]:
    def judge(seen: Confinement) -> Verdict:
        own, first = seen.process.namespaces.get(kind), seen.init.namespaces.get(kind)
        return own != first if own and first else None

    return judge


def _covered(*paths: str) -> Callable[[Confinement], Verdict]:
    """Something else is mounted at one of the paths than the first process sees there."""

    def judge(seen: Confinement) -> Verdict:
        if not seen.process.mounts:
            return None
        return any(path in seen.process.mounts and seen.process.mounts[path] != seen.init.mounts.get(path)
                   for path in paths)  # fmt: skip

    return judge


def _read_only(path: str) -> Callable[[Confinement], Verdict]:
    def judge(seen: Confinement) -> Verdict:
        mount = seen.process.mounts.get(path)
        if path.startswith("/proc/") and mount is None and _proc_option("subset=pid")(seen):
            return True  # it is not there at all
        found = mount is not None and _has(mount.options, "ro")
        return found if seen.process.mounts else None

    return judge


def _proc_option(*allowed: str) -> Callable[[Confinement], Verdict]:
    def judge(seen: Confinement) -> Verdict:
        mount = seen.process.mounts.get("/proc")
        found = mount is not None and any(_has(mount.super_options, option) for option in allowed)
        return found if seen.process.mounts else None

    return judge


def _has(options: str, wanted: str) -> bool:
    return wanted in options.split(",")


def _filtered(seen: Confinement) -> Verdict:
    """More system call filters than the first process of a container has by the container."""
    own, first = seen.process.number("Seccomp_filters"), seen.init.number("Seccomp_filters")
    if own is None or first is None:  # Linux before 5.9
        mode = seen.process.number("Seccomp")
        return None if mode is None else mode == 2
    return own > first


def _powerless(seen: Confinement) -> Verdict:
    found = seen.process.number("CapBnd", 16)
    return None if found is None else found == 0


def _bounded(name: str) -> Callable[[Confinement], Verdict]:
    def judge(seen: Confinement) -> Verdict:
        limit, wanted = seen.room.get(name), seen.wanted[name]
        return limit is not None and wanted.isdigit() and limit <= int(wanted)

    return judge


_JUDGES: Mapping[str, tuple[str, Callable[[Confinement], Verdict]]] = {
    "CapabilityBoundingSet": (MOUNTS, _powerless),
    "NoNewPrivileges": (MOUNTS, lambda seen: seen.process.status.get("NoNewPrivs") == "1"),
    "PrivateDevices": (MOUNTS, _covered("/dev")),
    "PrivateMounts": (MOUNTS, _namespace("mnt")),
    "PrivateTmp": (MOUNTS, _covered("/tmp")),  # noqa: S108 - looked at, not used
    "PrivateUsers": (MOUNTS, _namespace("user")),
    "ProcSubset": (MOUNTS, _proc_option("subset=pid")),
    "ProtectControlGroups": (MOUNTS, _read_only("/sys/fs/cgroup")),
    "ProtectHome": (MOUNTS, _covered("/home", "/root")),
    "ProtectHostname": (MOUNTS, _namespace("uts")),
    "ProtectKernelTunables": (MOUNTS, _read_only("/proc/sys")),
    "ProtectProc": (MOUNTS, _proc_option("hidepid=invisible", "hidepid=2", "hidepid=noaccess", "hidepid=1")),
    "ProtectSystem": (
        MOUNTS,
        lambda seen: _read_only("/" if seen.wanted["ProtectSystem"] == "strict" else "/usr")(seen),
    ),
    "SystemCallFilter": (MOUNTS, _filtered),
    "MemoryMax": (LIMITS, _bounded("MemoryMax")),
    "TasksMax": (LIMITS, _bounded("TasksMax")),
    "IPAddressDeny": (FILTER, lambda seen: None if seen.filters is None else seen.filters > 0),
}


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
        {name: shown[name] for name in _JUDGES if name in shown},
        _process(pid),
        _process(1),
        {name: _room(group, *files) for name, files in _ROOM.items()},
        _filters(group) if shown.get("IPAddressDeny") else None,
        host(),
        tuple(sorted({name for name in _CONFINING.findall(text) if name not in shown})),
    )


def host() -> HostSecurity:
    """What this host has of FIPS mode, SELinux and AppArmor."""
    enforce = processes.read_text("/sys/fs/selinux/enforce")
    return HostSecurity(
        fips=(processes.read_text("/proc/sys/crypto/fips_enabled") or "").strip() == "1",
        selinux={"0": "permissive", "1": "enforcing"}.get((enforce or "").strip(), ""),
        apparmor=(processes.read_text("/sys/module/apparmor/parameters/enabled") or "").strip() == "Y",
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
    seen = processes.private(pid, "mountinfo", ids.get("Uid", 0), ids.get("Gid", 0))
    links = {kind: processes.link(pid, f"ns/{kind}", ids.get("Uid", 0), ids.get("Gid", 0)) for kind in _NAMESPACES}
    label = (processes.read_text(f"/proc/{pid}/attr/current") or "").strip("\0\n ")
    return ConfinedProcess(status, {kind: link for kind, link in links.items() if link}, mounts(seen or ""), label)


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
