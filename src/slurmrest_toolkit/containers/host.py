"""What this host is, and what it needs before it can run containers with systemd inside.

An ordinary host (pure cgroup v2, limits can be raised) is used as it is. An awkward one gets, for this program's own
calls only, a mount namespace with a pure cgroup v2 tree, runc, and lower limits; see ``docs/testcluster.md``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slurmrest_toolkit.containers.engine import Engine
from slurmrest_toolkit.support import processes
from slurmrest_toolkit.support.errors import CannotRunError, NoEngineError
from slurmrest_toolkit.support.locks import locked, runtime_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmrest_toolkit.support.progress import Progress

CAP_SYS_RESOURCE = 24
"""Number of the capability that raising resource limits takes (linux/capability.h)."""

NEARLY = 0.8
"""Part of a limit from which on it is the likely cause: what failed gave back what it had."""

PACKAGES = {
    "podman": ("podman", "netavark", "aardvark-dns", "iptables"),
    "runc": ("runc",),
    "mmdebstrap": ("mmdebstrap",),
    "newuidmap": ("uidmap",),
    "slirp4netns": ("slirp4netns",),
    "ssh": ("openssh-client",),
    "curl": ("curl",),
}
"""Debian's packages for each program that may be missing; podman cannot connect containers without its companions."""

PURPOSES = {
    "podman": "to run containers",
    "runc": "because this host does not let crun raise limits",
    "mmdebstrap": "to build base images",
    "newuidmap": "for containers without root",
    "slirp4netns": "for the network of containers without root",
    "ssh": "to reach the nodes",
    "curl": "to talk to the REST API",
}


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


def ensure_programs(programs: Sequence[str], host: Host, progress: Progress) -> None:
    """Make sure that the programs are there: install them as root, otherwise name the command that does.

    Raises:
        CannotRunError: they are missing and cannot be installed from here.
    """
    search = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    missing = [program for program in programs if shutil.which(program, path=search) is None]
    if not missing:
        return
    packages = [package for program in missing for package in PACKAGES[program]]
    why = ", ".join(f"{program} ({PURPOSES[program]})" for program in missing)
    if shutil.which("apt-get") is None:
        raise CannotRunError(f"Missing on this host: {why}.", "Install them with the system's package manager.")
    command = ["apt-get", "install", "--no-install-recommends", *packages]
    if not host.root:
        raise CannotRunError(f"Missing on this host: {why}.", f"Run: sudo {' '.join(command)}")
    progress.say(f"missing on this host: {why}; installing {' '.join(packages)} with apt-get")
    with locked(runtime_directory() / "apt.lock", waiting=lambda: progress.say("waiting for another run's apt-get")):
        for arguments in (["apt-get", "-qq", "update"], [*command, "-qq", "-y"]):
            done = processes.run(arguments, environment={"DEBIAN_FRONTEND": "noninteractive"}, let_finish=True)
            # Old package lists may do, so a failing update alone is not the end.
            if done.returncode and "install" in arguments:
                last = "\n".join(done.stdout.splitlines()[-8:])
                raise CannotRunError(f"{' '.join(arguments)} failed:\n{last}")


def find_engine(name: str | None, host: Host, progress: Progress, *, install: bool) -> Engine:
    """Return a container engine that works here, preferring podman.

    Args:
        name: ``podman`` or ``docker`` to insist on one; None takes what works.
        host: the host as detected.
        progress: told what is installed.
        install: whether what is missing may be installed.

    Raises:
        NoEngineError: there is none, and none may be installed.
        CannotRunError: no engine can be used, with the reason.
    """
    if name == "docker" or (name is None and not shutil.which("podman") and docker_answers()):
        return use_docker(host)
    if not host.root and host.cgroups != "v2":
        raise CannotRunError(
            f"Containers without root need cgroup v2, and this host has {host.cgroups}.", "Run as root."
        )
    if install:
        needed = ["podman"]
        if host.awkward:
            needed.append("runc")
        elif not host.root:
            needed += ["newuidmap", *([] if shutil.which("pasta") else ["slirp4netns"])]
        ensure_programs(needed, host, progress)
    elif not shutil.which("podman"):
        raise NoEngineError("There is no container engine on this host, so there can be no cluster.")
    if host.awkward:
        return awkward_podman(host, progress)
    return Engine("podman")


def docker_answers() -> bool:
    """Is there a docker command whose daemon answers?"""
    return shutil.which("docker") is not None and Engine("docker").try_call("version") is not None


def use_docker(host: Host) -> Engine:
    """Return Docker where it can boot systemd.

    Raises:
        CannotRunError: its daemon does not answer, or the host's cgroups are not v2.
    """
    if not docker_answers():
        raise CannotRunError("Docker's daemon does not answer.", "Start it, or use --engine podman.")
    if host.cgroups != "v2":
        raise CannotRunError(
            f"Docker cannot boot systemd on cgroups {host.cgroups}.", "Use --engine podman as root, which can."
        )
    return Engine("docker")


def containers_conf(host: Host) -> str:
    """Podman's configuration for an awkward host: what it cannot do there is switched off."""
    limits = [] if host.can_raise_limits else ['default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]']
    pids = [] if host.pids_controller else ["pids_limit = 0"]
    return "\n".join(
        (
            "# Written by slurmrest cluster for its own calls of podman; not read by anything else.",
            "[containers]",
            *limits,
            *pids,
            "[engine]",
            'runtime = "runc"',
            'cgroup_manager = "cgroupfs"',
            'events_logger = "file"',
            "[network]",
            'network_backend = "netavark"',
            "",
        )
    )


def awkward_podman(host: Host, progress: Progress) -> Engine:
    """Return podman set up for an awkward host, inside a mount namespace that all runs of root share."""
    runtime = runtime_directory()
    configuration = runtime / "containers.conf"
    with locked(runtime / "namespace.lock", waiting=lambda: progress.say("waiting for another run's namespace")):
        text = containers_conf(host)
        if not configuration.exists() or configuration.read_text(encoding="ascii") != text:
            configuration.write_text(text, encoding="ascii")
        prefix: tuple[str, ...] = ()
        if host.cgroups != "v2":
            prefix = enter_namespace(runtime / "cgroup2.namespace", progress)
    return Engine("podman", prefix=prefix, environment={"CONTAINERS_CONF": str(configuration)})


def enter_namespace(handle: Path, progress: Progress) -> tuple[str, ...]:
    """Return the command prefix that enters the mount namespace with a pure cgroup v2 tree, making it where gone.

    The namespace is held by a bind mount of its handle (see namespaces(7)), not by a process: it ends with the
    machine or with ``umount``, and a handle that is only a file left from before a reboot is recognised as such.
    """
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    if not any(line.split()[1] == str(handle) for line in mounts):
        progress.say(f"cgroups are not v2 only: making a private mount namespace for containers ({handle})")
        handle.touch(mode=0o600)
        script = "umount -R -l /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup"
        done = subprocess.run(
            ["unshare", f"--mount={handle}", "--propagation", "slave", "sh", "-c", script],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            subprocess.run(["umount", str(handle)], capture_output=True, check=False)
            raise CannotRunError(f"No mount namespace with cgroup v2 could be made: {done.stderr.strip()}")
    return ("nsenter", f"--mount={handle}", "--")
