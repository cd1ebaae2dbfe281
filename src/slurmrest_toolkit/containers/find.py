"""A container engine that works on this host."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from slurmrest_toolkit.containers.engine import Engine
from slurmrest_toolkit.containers.namespace import awkward_podman
from slurmrest_toolkit.containers.prerequisites import CLIENTS, chosen, for_podman, refused
from slurmrest_toolkit.containers.programs import ensure_programs
from slurmrest_toolkit.support import session
from slurmrest_toolkit.support.errors import CannotRunError, NoEngineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmrest_toolkit.containers.host import Host
    from slurmrest_toolkit.support.progress import Progress

SYSTEMD = Path("/run/systemd/system")
"""Where systemd runs."""

TUNNEL = Path("/dev/net/tun")
"""By which slirp4netns and pasta connect containers of an ordinary user; udev lets all open it."""

WRITABLE_CGROUPS = 28
"""Major version of Docker from which on containers can be let write to their cgroups (release notes of 28.0)."""


def find_engine(name: str | None, host: Host, progress: Progress, *, install: bool, soon: Sequence[str] = ()) -> Engine:
    """Return a container engine that works here, preferring podman.

    Args:
        name: ``podman`` or ``docker`` to insist on one; None takes that of the environment, or what works.
        host: the host as detected.
        progress: told what is installed.
        install: whether what is missing may be installed; clients of a cluster are needed then, too.
        soon: programs for later, which are in the same list where something is missing.

    Raises:
        NoEngineError: there is none, and none may be installed.
        CannotRunError: no engine can be used, with the reason.
    """
    try:
        name = chosen(name)
    except ValueError as error:
        raise CannotRunError(str(error)) from error
    if name == "docker" or (name is None and not shutil.which("podman") and docker_answers()):
        if install:
            ensure_programs(CLIENTS, host, progress, soon=soon)
        return use_docker(host)
    if not host.root and host.cgroups != "v2":
        raise CannotRunError(
            f"Containers without root need cgroup v2, and this host has {host.cgroups}.", "Run as root."
        )
    if install:
        ensure_programs([*for_podman(host), *CLIENTS], host, progress, soon=soon)
        if not host.root:
            require_tunnel()
    elif not shutil.which("podman"):
        raise NoEngineError("There is no container engine on this host, so there can be no cluster.")
    if host.awkward:
        return awkward_podman(host, progress)
    return Engine("podman") if host.root else own_podman()


def own_podman() -> Engine:
    """Return Podman without root, which has its containers where the account's systemd is.

    Raises:
        CannotRunError: there is none, or the account has no subordinate ids.
    """
    if lacks := refused():
        raise CannotRunError(*lacks)
    if session.directory() is None and SYSTEMD.is_dir():
        raise CannotRunError(
            "This account has no systemd session here: Podman would keep its containers elsewhere than from a login.",
            f"Run: sudo loginctl enable-linger {os.geteuid()}",
        )
    return Engine("podman", environment=session.environment())


def docker_answers() -> bool:
    """Is there a docker command whose daemon answers?"""
    return shutil.which("docker") is not None and Engine("docker").try_call("version") is not None


def require_tunnel() -> None:
    """Refuse to start containers of an ordinary user where they could have no network.

    Raises:
        CannotRunError: the account has no use of the device for it.
    """
    if not os.access(TUNNEL, os.R_OK | os.W_OK):
        there = "This account may not open" if TUNNEL.exists() else "This host has no"
        raise CannotRunError(
            f"{there} {TUNNEL}, by which Podman connects containers without root.",
            f"Run: sudo chmod 666 {TUNNEL}" if TUNNEL.exists() else "Run: sudo modprobe tun",
        )


def use_docker(host: Host) -> Engine:
    """Return Docker where it can boot systemd.

    Raises:
        CannotRunError: its daemon does not answer, the cgroups are not v2, or its containers have none of their own.
    """
    if not docker_answers():
        raise CannotRunError("Docker's daemon does not answer.", "Start it, or use --engine podman.")
    if host.cgroups != "v2":
        raise CannotRunError(
            f"Docker cannot boot systemd on cgroups {host.cgroups}.", "Use --engine podman as root, which can."
        )
    told = Engine("docker").call("info", "--format={{.ServerVersion}} {{json .SecurityOptions}}")
    version, _, options = told.partition(" ")
    for option, words in (("rootless", "runs without root"), ("userns", "has user namespaces for its containers")):
        if f"name={option}" in options:
            raise CannotRunError(
                f"Docker's daemon {words}: systemd in its containers could not write to its cgroups.",
                "Use --engine podman, which can without root, too.",
            )
    major = version.partition(".")[0]
    return Engine("docker", remounts=major.isdigit() and int(major) < WRITABLE_CGROUPS)
