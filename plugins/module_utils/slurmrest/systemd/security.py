"""Security modules and modes of a host."""

from __future__ import annotations

from dataclasses import dataclass

from ..host import proc as processes


@dataclass(frozen=True)
class HostSecurity:
    """Security modules and modes of a host: ``selinux`` is enforcing, permissive, or empty."""

    fips: bool = False
    selinux: str = ""
    apparmor: bool = False


def security() -> HostSecurity:
    """What this host has of FIPS mode, SELinux and AppArmor."""
    enforce = processes.read_text("/sys/fs/selinux/enforce")
    return HostSecurity(
        fips=(processes.read_text("/proc/sys/crypto/fips_enabled") or "").strip() == "1",
        selinux={"0": "permissive", "1": "enforcing"}.get((enforce or "").strip(), ""),
        apparmor=(processes.read_text("/sys/module/apparmor/parameters/enabled") or "").strip() == "Y",
    )
