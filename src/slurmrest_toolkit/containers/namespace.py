"""Podman on an awkward host: a configuration of its own, and a mount namespace with a pure cgroup v2 tree."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from slurmrest_toolkit.containers.engine import Engine
from slurmrest_toolkit.support.errors import CannotRunError
from slurmrest_toolkit.support.locks import locked, runtime_directory

if TYPE_CHECKING:
    from slurmrest_toolkit.containers.host import Host
    from slurmrest_toolkit.support.progress import Progress


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
