"""Start and remove clusters."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slurmrest.releases import lookup

from testcluster import host as hosts
from testcluster import images, inventory
from testcluster.engine import REST_PORT, SSH_PORT, Engine, EngineError
from testcluster.errors import CannotRunError, ClusterFailedError
from testcluster.locks import locked, state_directory
from testcluster.state import Cluster, Node, cluster_directory, load, plan_nodes, validate_name, write_private
from testcluster.suites import DEFAULT_SERIES, suite_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import TypeVar

    from testcluster.images import Image
    from testcluster.progress import Progress

    T = TypeVar("T")
    R = TypeVar("R")

CLUSTER_LABEL = "slurmrest.cluster"
NODE_LABEL = "slurmrest.node"
STATE_LABEL = "slurmrest.state"
"""Label with the state directory, by which leftovers of a lost one are told from somebody's live cluster."""

ENROL_SECONDS = 20.0
SSH_SECONDS = 30.0


@dataclass(frozen=True)
class Request:
    """What the user asked ``up`` for; ``series`` is None where an image given with ``image`` decides it."""

    name: str
    series: str | None
    layout: str
    compute_nodes: int
    engine: str | None
    image: str | None
    bare: bool
    allow_stale: bool
    keep_on_failure: bool


def cluster_lock(name: str) -> AbstractContextManager[bool]:
    """Hold a cluster's lock without waiting; yields False when another process works on the cluster."""
    return locked(state_directory() / "locks" / f"{name}.lock", waiting=None)


def up(request: Request, progress: Progress) -> Cluster:
    """Start a cluster, and leave nothing behind when that fails.

    Raises:
        CannotRunError: the host or the request does not allow it; nothing was started.
        SlurmrestError: a phase failed; ``progress.current`` names it.
    """
    validate_name(request.name)
    nodes = plan_nodes(request.name, request.layout, request.compute_nodes)
    if request.image is None:
        suite_of(request.series or DEFAULT_SERIES)
    with cluster_lock(request.name) as held:
        if not held:
            raise CannotRunError(f"Another process is working on the cluster {request.name}.", "Wait, or use --name.")
        known = load(request.name)
        if known is not None and known.ready:
            raise CannotRunError(
                f"The cluster {request.name} exists.",
                f"Use another --name, or remove it: slurmrest cluster down {request.name}",
            )
        with progress.phase("host", "looking at this host"):
            host = hosts.Host.detect()
            engine = hosts.find_engine(request.engine, host, progress)
            hosts.ensure_programs(["ssh", "curl"], host, progress)
            progress.say(f"{host.describe()}; containers by {engine.name}")
            if known is not None or leftovers(engine, request.name):
                progress.say(f"removing what is left of an earlier {request.name}")
                remove(engine, request.name)
        with progress.phase("image", "looking for the base image"):
            image = base_image(engine, host, request, progress)
        cluster = Cluster(request.name, image.slurm_version, request.layout, engine.name, nodes, bare=request.bare)
        try:
            cluster.save()
            with progress.phase("nodes", f"starting {len(nodes)} node{'s' if len(nodes) > 1 else ''}"):
                start_nodes(engine, cluster, image.name)
            cluster.ready = True
            cluster.timings = {name: round(seconds, 2) for name, seconds in progress.timings.items()}
            cluster.save()
        except BaseException:
            if not request.keep_on_failure:
                progress.say(f"removing {request.name}")
                remove(engine, request.name)
            raise
    return cluster


def base_image(engine: Engine, host: hosts.Host, request: Request, progress: Progress) -> Image:
    """Return the image that the nodes start from."""
    if request.image is not None:
        return images.ordinary_image(engine, progress, request.image, request.series)
    series = request.series or DEFAULT_SERIES
    return images.suite_image(engine, host, progress, series, allow_stale=request.allow_stale)


def leftovers(engine: Engine, name: str) -> bool:
    """Are there containers or a network of this name without a live owner?

    Raises:
        CannotRunError: they belong to a cluster that another state directory knows.
    """
    label = f"{CLUSTER_LABEL}={name}"
    containers = engine.containers(label)
    for container in containers:
        owner = container.labels.get(STATE_LABEL, "")
        if owner != str(state_directory()) and os.path.exists(f"{owner}/clusters/{name}/cluster.json"):
            raise CannotRunError(f"The state directory {owner} has a cluster called {name}.", "Use another --name.")
    return bool(containers or engine.networks(label))


def remove(engine: Engine, name: str) -> None:
    """Remove a cluster's containers, network and files, whatever state they are in."""
    label = f"{CLUSTER_LABEL}={name}"
    engine.remove_containers([container.name for container in engine.containers(label)])
    for network in engine.networks(label):
        engine.call("network", "rm", network)
    shutil.rmtree(cluster_directory(name), ignore_errors=True)


def in_parallel(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Call a function with each item, side by side; the first error is raised once all calls have ended."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(function, items))


def start_nodes(engine: Engine, cluster: Cluster, image: str) -> None:
    """Start the containers, enrol them, and write the files by which they are reached."""
    directory = cluster.directory
    labels = {CLUSTER_LABEL: cluster.name, STATE_LABEL: str(state_directory())}
    engine.create_network(cluster.network, labels)
    client_key = make_client_key(directory)

    def start(node: Node) -> str:
        rest = "slurmrestd" in node.roles
        engine.boot(
            image,
            name=node.container,
            hostname=node.name,
            network=cluster.network,
            ports=(SSH_PORT, REST_PORT) if rest else (SSH_PORT,),
            labels={**labels, NODE_LABEL: node.name},
        )
        ports = engine.ports(node.container)
        node.ssh_port = ports[SSH_PORT]
        node.rest_port = ports[REST_PORT] if rest else None
        return enrol(engine, node, client_key)

    host_keys = in_parallel(start, cluster.nodes)
    known = dict(zip((node.name for node in cluster.nodes), host_keys, strict=True))
    write_private(directory / "known_hosts", inventory.render_known_hosts(cluster, known))
    write_private(directory / "ssh_config", inventory.render_ssh_config(cluster, directory))
    variables = inventory.test_cluster_variables(
        cluster,
        cgroup_plugin=lookup(cluster.slurm_version).release.slurmd_cgroup_plugin_in_containers,
        cpus=os.cpu_count() or 1,
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
    )
    write_private(directory / "inventory" / "hosts.yml", inventory.render_inventory(cluster, directory, variables))
    in_parallel(lambda node: wait_for_ssh(cluster, node), cluster.nodes)


def make_client_key(directory: Path) -> str:
    """Make the cluster's own SSH key and return its public half."""
    private = directory / "id_ed25519"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "slurmrest", "-f", str(private)]
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return private.with_suffix(".pub").read_text(encoding="ascii")


def enrol(engine: Engine, node: Node, client_key: str) -> str:
    """Give a starting node the client key and return its public host key."""
    deadline = time.monotonic() + ENROL_SECONDS
    while True:
        try:
            return engine.execute(node.container, "slurmrest-enrol", "--client-key", text=client_key)
        except EngineError as error:
            if time.monotonic() > deadline:
                raise ClusterFailedError(f"The node {node.name} did not start: {error.message}") from error
            time.sleep(0.1)


def wait_for_ssh(cluster: Cluster, node: Node) -> None:
    """Wait until a node answers over SSH.

    Raises:
        ClusterFailedError: it does not within half a minute.
    """
    deadline = time.monotonic() + SSH_SECONDS
    command = ["ssh", "-F", str(cluster.directory / "ssh_config"), "-o", "BatchMode=yes", "-o", "ConnectTimeout=5"]
    while True:
        done = subprocess.run(
            [*command, node.name, "true"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return
        if time.monotonic() > deadline:
            raise ClusterFailedError(f"The node {node.name} does not answer over SSH: {done.stderr.strip()}")
        time.sleep(0.1)
