"""A cluster that stands: who works on it, which engine runs it, and which of its nodes run."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from slurmrest_toolkit.clusters import users
from slurmrest_toolkit.clusters.state import CLUSTER_LABEL, GATEWAY, load
from slurmrest_toolkit.containers.engine import EngineError
from slurmrest_toolkit.containers.find import find_engine
from slurmrest_toolkit.containers.host import Host
from slurmrest_toolkit.nodes import start as nodes
from slurmrest_toolkit.support.errors import CannotRunError
from slurmrest_toolkit.support.locks import LOCKS, handing_over, locked, state_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from slurmrest_toolkit.clusters.lifecycle import Request
    from slurmrest_toolkit.clusters.state import Cluster, Node
    from slurmrest_toolkit.containers.engine import Engine
    from slurmrest_toolkit.support.progress import Progress


@contextlib.contextmanager
def owned(name: str, patient: Progress | None = None) -> Iterator[None]:
    """Hold a cluster's lock; ``patient`` is told that it is waited for, without it nobody waits.

    What was written meanwhile belongs to the account that called sudo.

    Raises:
        CannotRunError: another process holds it.
    """
    waiting = (lambda: patient.say(f"waiting for another process at work on {name}")) if patient else None
    with handing_over(), locked(state_directory() / LOCKS / f"{name}.lock", waiting=waiting) as held:
        if not held:
            raise CannotRunError(f"Another process is working on the cluster {name}.", "Wait for it, or use --name.")
        yield


def reusable(request: Request, progress: Progress) -> Cluster | None:
    """Return the cluster of a request's name where it stands and is what the request wants; None where none stands.

    Raises:
        CannotRunError: it is another one.
    """
    there = load(request.name)
    if there is None or not there.ready or not all(refresh(there, progress).values()):
        return None
    series = ".".join(there.slurm_version.split(".")[:2])
    wanted = request.nodes()
    differs = {
        "--slurm": request.series not in {None, series},
        "--layout": request.layout != there.layout or {one.name for one in wanted} != {one.name for one in there.nodes},
        "--gateway": any(GATEWAY in node.roles for node in wanted) != (there.gateway_node is not None),
        "--capability": sorted(request.capabilities) != sorted(there.capabilities),
        "--identity": request.identity != there.identity,
        "--bare": request.bare != there.bare,
        "--conf": dict(request.conf) != there.conf,
    }
    for option, different in differs.items():
        if different:
            raise CannotRunError(
                f"The cluster {there.name} stands and differs in {option}.",
                f"Use another --name, or remove it: slurmrest cluster down {there.name}",
            )
    missing = [name for name in request.users if name not in users.known(there)]
    if missing:
        users.add(engine_of(there, progress), there, missing)
    return there


def engine_of(cluster: Cluster | None, progress: Progress, name: str | None = None) -> Engine:
    """Return the engine that runs a cluster, or the one of a name, or any that is here; installs nothing.

    Raises:
        CannotRunError: there is none, or it runs the containers of another account.
    """
    if cluster is not None:
        require_account(cluster)
    return find_engine(cluster.engine if cluster else name, Host.detect(), progress, install=False)


def require_account(cluster: Cluster) -> None:
    """Refuse to look for a cluster where it cannot be: Podman of root and Podman of an account do not know each other.

    Raises:
        CannotRunError: the other one runs it.
    """
    if cluster.root is not None and cluster.root != (os.geteuid() == 0):
        whose, how = ("root's", "Use sudo for it") if cluster.root else ("an ordinary account's", "Do it without sudo")
        raise CannotRunError(
            f"The cluster {cluster.name} is run by {whose} Podman, which this account's does not know.",
            f"{how}, or give its address to what only sends requests (slurmrest cluster status).",
        )


def booting(engine: Engine, cluster: Cluster) -> bool:
    """Whether systemd starts something on one of the nodes."""
    jobs = ("systemctl", "list-jobs", "--no-legend")
    return any(
        (done := engine.run("exec", node.container, *jobs)).returncode == 0 and done.stdout.strip()
        for node in cluster.nodes
    )


def standstill(cluster: Cluster, nodes: Mapping[str, bool], kernel: Path = Path("/proc/stat")) -> str | None:
    """Say in a few words that a cluster, or some of its nodes, do not run; None where all do.

    Args:
        cluster: the cluster.
        nodes: for each node's name whether it is running.
        kernel: where the kernel tells when it was booted.
    """
    stopped = [name for name, runs in nodes.items() if not runs]
    if not stopped:
        return None
    if len(stopped) < len(nodes):
        return f"these nodes do not run: {', '.join(stopped)}"
    times = (line.split() for line in kernel.read_text(encoding="ascii").splitlines())
    booted = next((int(words[1]) for words in times if words[:1] == ["btime"]), 0)
    try:
        rebooted = (cluster.directory / "cluster.json").stat().st_mtime < booted
    except FileNotFoundError:  # it is being removed
        rebooted = False
    return f"stopped{', since this host was rebooted' if rebooted else ''}"


def require(cluster: Cluster, progress: Progress, *, whole: bool = True) -> None:
    """Refuse to work on a cluster that does not run; where it need not be ``whole``, one node that runs is enough.

    Raises:
        CannotRunError: none of its nodes runs, or not all of them.
    """
    nodes = refresh(cluster, progress)
    if (words := standstill(cluster, nodes)) and (whole or not any(nodes.values())):
        raise CannotRunError(f"The cluster {cluster.name}: {words}.", f"{anew(cluster, nodes)}.")


def require_node(cluster: Cluster, node: Node, progress: Progress) -> None:
    """Refuse to ask a node that does not run, and follow its ports: whoever has those of before would be told instead.

    Raises:
        CannotRunError: it does not run.
    """
    nodes = refresh(cluster, progress)
    if not nodes[node.name]:
        raise CannotRunError(
            f"The node {node.name} of the cluster {cluster.name} does not run.", f"{anew(cluster, nodes)}."
        )


def anew(cluster: Cluster, nodes: Mapping[str, bool]) -> str:
    """Say how a cluster that does not run is started anew; one of which nodes run is not removed unasked."""
    down = f"slurmrest cluster down {cluster.name} && " if any(nodes.values()) else ""
    return f"Start it anew: {down}slurmrest cluster up {cluster.name}"


def refresh(cluster: Cluster, progress: Progress) -> dict[str, bool]:
    """Ask the engine which nodes run, and follow their ports where those have changed.

    Returns:
        For each node's name whether it is running.
    """
    engine = engine_of(cluster, progress)
    containers = {container.name: container for container in engine.containers(f"{CLUSTER_LABEL}={cluster.name}")}
    running = {node.name: node.container in containers and containers[node.container].running for node in cluster.nodes}
    before = [_ports(node) for node in cluster.nodes]
    for node in cluster.nodes:
        if running[node.name]:
            try:
                nodes.read_ports(engine, node)
            except EngineError:  # removed or stopped since it was listed
                running[node.name] = False
    if before != [_ports(node) for node in cluster.nodes]:
        cluster.save()
        nodes.write_access_files(cluster)
    return running


def _ports(node: Node) -> tuple[int | None, ...]:
    return node.ssh_port, node.rest_port, node.gateway_port, node.provider_port
