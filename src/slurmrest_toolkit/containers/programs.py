"""Programs that this host must have, and the packages that bring them."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from slurmrest_toolkit.support import processes
from slurmrest_toolkit.support.errors import CannotRunError
from slurmrest_toolkit.support.locks import locked, runtime_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmrest_toolkit.containers.host import Host
    from slurmrest_toolkit.support.progress import Progress

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
