"""What this host is, and what decides how it runs containers with systemd inside.

An ordinary host (pure cgroup v2, limits can be raised) is used as it is. An awkward one gets, for this program's own
calls only, a mount namespace with a pure cgroup v2 tree, runc, and lower limits; see ``docs/testcluster.md``.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

CAP_SYS_RESOURCE = 24
"""Number of the capability that raising resource limits takes (linux/capability.h)."""

NEARLY = 0.8
"""Part of a limit from which on it is the likely cause: what failed gave back what it had."""


@dataclass(frozen=True)
class Host:
    """What decides how containers are run here.

    ``cgroups`` is ``v2`` (one cgroup v2 tree), ``hybrid`` (v1 controllers with a v2 tree beside them) or ``v1``.
    """

    root: bool
    cgroups: str
    can_raise_limits: bool
    pids_controller: bool

    @classmethod
    def detect(cls) -> Host:
        """Look at this host; changes nothing."""
        mode, tree = cgroup_mode(Path("/proc/self/mounts").read_text(encoding="utf-8"))
        status = Path("/proc/self/status").read_text(encoding="ascii")
        # A private namespace mounts the same cgroup v2 hierarchy that the hybrid layout has beside v1.
        controllers = Path(tree, "cgroup.controllers") if tree else None
        return cls(
            root=os.geteuid() == 0,
            cgroups=mode,
            can_raise_limits=os.geteuid() != 0 or has_capability(status, CAP_SYS_RESOURCE),
            pids_controller=controllers is not None and "pids" in controllers.read_text(encoding="ascii").split(),
        )

    @property
    def awkward(self) -> bool:
        """Does podman, run as root, need the recipe for awkward hosts?"""
        return self.root and (self.cgroups != "v2" or not self.can_raise_limits)

    def describe(self) -> str:
        """One line for people."""
        limits = "" if self.can_raise_limits else ", no CAP_SYS_RESOURCE"
        return f"{'root' if self.root else 'not root'}, cgroups {self.cgroups}{limits}"


def too_many_containers(proc: Path = Path("/proc")) -> tuple[str, str] | None:
    """Say why no further container boots, and what helps, where the kernel's limit for inotify is nearly reached.

    systemd ends at once when it gets no instance; in a container it takes about seven with its services.
    """
    limit = int((proc / "sys/fs/inotify/max_user_instances").read_text(encoding="ascii"))
    used = 0
    for folder in proc.glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):  # a process that ends meanwhile, or of somebody else
            used += sum(str(entry.readlink()) == "anon_inode:inotify" for entry in folder.iterdir())
    if used < limit * NEARLY:
        return None
    cause = f"{used} of this host's {limit} inotify instances for a user are taken, and each container needs about 7."
    return cause, "Allow more (as root: sysctl fs.inotify.max_user_instances=1024), or remove other clusters."


def cgroup_mode(mounts: str) -> tuple[str, str | None]:
    """Return the cgroup layout (``v2``, ``hybrid`` or ``v1``) and where its v2 tree is, from /proc/self/mounts."""
    kinds = {fields[1]: fields[2] for fields in (line.split() for line in mounts.splitlines()) if len(fields) > 2}
    if kinds.get("/sys/fs/cgroup") == "cgroup2":
        return "v2", "/sys/fs/cgroup"
    trees = [path for path, kind in kinds.items() if kind == "cgroup2"]
    return ("hybrid", trees[0]) if trees else ("v1", None)


def has_capability(status: str, number: int) -> bool:
    """Is the capability effective, according to the text of /proc/self/status?"""
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return bool(int(effective, 16) >> number & 1)
