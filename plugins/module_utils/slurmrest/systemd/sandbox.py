"""Which directives of its sandbox are in force for the slurmrestd that runs (:mod:`.confinement`). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional

from .confinement import ConfinedProcess, Confinement, Mount
from .security import HostSecurity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CLIENTS = "slurmrestd_service_clients"
MOUNTS, LIMITS, FILTER = "mounts", "limits", "filter"

_CAP_SYS_ADMIN = 21
_UNWANTED = ("", "no", "default", "all", "infinity")
"""What ``systemctl show`` says of a directive that asks for nothing."""

Verdict = Optional[bool]
"""Whether a directive is in force; None where nobody may look."""


def confinement_of(record: Mapping[str, Any]) -> Confinement:
    """What a host has handed over, :func:`dataclasses.asdict` of it. Raises KeyError or TypeError where it is none."""
    processes = {name: _process_of(record[name]) for name in ("process", "init")}
    return Confinement(**{**record, **processes, "host": HostSecurity(**record["host"])})


def _process_of(record: Mapping[str, Any]) -> ConfinedProcess:
    return ConfinedProcess(**{**record, "mounts": {path: Mount(**mount) for path, mount in record["mounts"].items()}})


def verdicts(seen: Confinement) -> Mapping[str, Verdict]:
    """Of each directive that is asked for, and can be judged from outside: whether it is in force."""
    return {name: judge(seen) for name, (_group, judge) in _JUDGES.items() if _wants(seen, name)}


def _wants(seen: Confinement, name: str) -> bool:
    if name == "CapabilityBoundingSet":
        return seen.wanted.get(name) == ""
    return seen.wanted.get(name, "") not in _UNWANTED


def warnings(seen: Confinement) -> list[str]:
    """What the unit asks for and does not get, and why."""
    judged = verdicts(seen).items()
    missing = {
        group: [name for name, value in judged if value is False and _JUDGES[name][0] == group]
        for group in (MOUNTS, LIMITS, FILTER)
    }
    powerless = not (seen.init.number("CapBnd", 16) or 0) >> _CAP_SYS_ADMIN & 1
    reasons = {
        MOUNTS: "systemd has no CAP_SYS_ADMIN in this container" if powerless else "the kernel does not let systemd",
        LIMITS: "its control groups have no controller for it",
        FILTER: f"the kernel filters no packets for systemd, so {CLIENTS} keeps nobody away: use a firewall",
    }
    found = [
        f"The unit asks for {', '.join(names)}, which is not in force here: {reasons[group]}."
        for group, names in missing.items()
        if names
    ]
    if seen.unknown:
        found.append(f"This systemd does not know {', '.join(seen.unknown)}, which is not in force here.")
    unseen = [name for name, value in judged if value is None]
    if unseen:
        found.append(f"Nobody here may see whether these are in force: {', '.join(unseen)}.")
    return found


def notes(seen: Confinement) -> Iterator[str]:
    """What is known of this host's FIPS mode, SELinux and AppArmor."""
    if seen.host.fips:
        yield (
            "This host is in FIPS mode, which allows what tokens need (HMAC and RSA with SHA-256); slurmrestd "
            "itself was not tried on such a host."
        )
    if seen.host.selinux:
        free = not seen.process.label or any(f":{kind}:" in seen.process.label for kind in _UNCONFINED)
        does = "has no policy for slurmrestd" if free else "confines slurmrestd"
        yield f"SELinux is {seen.host.selinux} and {does} (it runs as {seen.process.label or 'nothing known'})."
    if seen.host.apparmor:
        if seen.process.label in ("", "unconfined"):
            yield "AppArmor is on and has no profile for slurmrestd."
        else:
            yield f"AppArmor confines slurmrestd: {seen.process.label}. What it denies is in the kernel's log."


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
