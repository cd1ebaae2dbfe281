"""From containers to hosts that Ansible and people reach over SSH."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from slurmrest.slurm.releases import lookup

from slurmrest_toolkit.clusters.state import (
    CLUSTER_LABEL,
    GATEWAY,
    NODE_LABEL,
    STATE_LABEL,
    Cluster,
    Node,
    write_private,
)
from slurmrest_toolkit.containers.engine import PROVIDER_PORT, REST_PORT, SSH_PORT, TLS_PORT, Engine, EngineError
from slurmrest_toolkit.containers.host import too_many_containers
from slurmrest_toolkit.nodes import inventory
from slurmrest_toolkit.support.errors import ClusterFailedError
from slurmrest_toolkit.support.locks import state_directory
from slurmrest_toolkit.support.waiting import LONGEST, side_by_side, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import TypeVar

    T = TypeVar("T")
    R = TypeVar("R")

START_SECONDS = 90.0
"""Without any change in what a node says. A slow virtual machine was seen to boot one in 22 s, and in more than 38."""

POLL_SECONDS = 0.1

CONNECT_SECONDS = 10
"""Until a node's sshd has greeted, exchange of keys included."""


def in_parallel(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Call a function with each item, side by side; the first error is raised once all calls have ended.

    After an error those that only wait end at once.
    """
    with side_by_side(8) as pool:
        return list(pool.map(function, items))


def start_nodes(
    engine: Engine, cluster: Cluster, image_of: Callable[[Node], str], enrolment: Callable[[Node, str], str]
) -> None:
    """Start the containers in a network of their own, enrol them, and write the files by which they are reached.

    Args:
        engine: the container engine.
        cluster: the cluster; the ports of its nodes are filled in.
        image_of: the image for each node.
        enrolment: called side by side with each node, as soon as its container runs, and the public half of the client
            key; returns the node's public host key.
    """
    labels = {CLUSTER_LABEL: cluster.name, STATE_LABEL: str(state_directory())}
    engine.create_network(cluster.network, labels)
    if cluster.shared_state:
        engine.create_volume(cluster.shared_state, labels)
    client_key = make_client_key(cluster.directory)

    def start(node: Node) -> str:
        published = {"slurmrestd": (REST_PORT,), GATEWAY: (TLS_PORT, PROVIDER_PORT)}
        engine.boot(
            image_of(node),
            name=node.container,
            hostname=node.name,
            network=cluster.network,
            ports=(SSH_PORT, *(port for role in node.roles for port in published.get(role, ()))),
            labels={**labels, NODE_LABEL: node.name},
            capabilities=cluster.capabilities,
            volumes=cluster.volumes_of(node),
        )
        with side_by_side(1) as beside:
            ports = beside.submit(read_ports, engine, node)
            key = enrolment(node, client_key)
            ports.result()
        return key

    try:
        found = in_parallel(start, cluster.nodes)
    except EngineError as error:
        if cause := too_many_containers():
            raise ClusterFailedError(f"{error}\n{cause[0]}", cause[1]) from error
        raise
    keys = dict(zip((node.name for node in cluster.nodes), found, strict=True))
    write_private(cluster.directory / "known_hosts", inventory.render_known_hosts(cluster, keys))
    write_access_files(cluster)


def read_ports(engine: Engine, node: Node) -> None:
    """Fill in a running node's ports on loopback.

    Raises:
        EngineError: it does not run any more.
    """
    ports = engine.ports(node.container)
    if SSH_PORT not in ports:
        raise EngineError(f"The container {node.container} has no port for SSH: it has stopped.")
    node.ssh_port = ports[SSH_PORT]
    node.rest_port = ports.get(REST_PORT)
    node.gateway_port = ports.get(TLS_PORT)
    node.provider_port = ports.get(PROVIDER_PORT)


def write_access_files(cluster: Cluster) -> None:
    """Write ``ssh_config`` and the inventory, which hold the nodes' ports."""
    variables = inventory.role_variables(
        cluster, cgroup_plugin=lookup(cluster.slurm_version).release.slurmd_cgroup_plugin_in_containers
    )
    directory = cluster.directory
    write_private(directory / "ssh_config", inventory.render_ssh_config(cluster, directory))
    write_private(directory / "inventory" / "hosts.yml", inventory.render_inventory(cluster, directory, variables))


def make_client_key(directory: Path) -> str:
    """Make the cluster's own SSH key and return its public half."""
    private = directory / "id_ed25519"
    private.unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "slurmrest", "-f", str(private)]
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return private.with_suffix(".pub").read_text(encoding="ascii")


def enrol(engine: Engine, node: Node, client_key: str, *options: str, patience: float = LONGEST) -> str:
    """Give a starting node the client key and return its public host key; ``options`` are those of slurmrest-enrol.

    Raises:
        ClusterFailedError: the node is not there, and for :data:`START_SECONDS` nothing got on.
    """
    keys: list[str] = []

    def missing() -> str:
        try:
            command = ("slurmrest-enrol", "--client-key", *options)
            keys.append(engine.execute(node.container, *command, text=client_key, limit=patience))
        except EngineError as error:
            return error.message
        return ""

    failure = f"The node {node.name} did not start"
    wait_until(missing, failure, POLL_SECONDS, quiet=START_SECONDS, longest=patience)
    return keys[-1]


def ssh_command(cluster: Cluster, node: Node, user: str = inventory.USER) -> list[str]:
    """Return the start of a command line that runs something on a node over SSH, without asking questions."""
    options = ("-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}")
    return ["ssh", "-F", str(cluster.directory / "ssh_config"), *options, "-l", user, node.name]


def wait_for_ssh(cluster: Cluster, node: Node) -> None:
    """Wait until a node answers over SSH.

    Raises:
        ClusterFailedError: it does not, and for :data:`START_SECONDS` nothing got on.
    """

    def missing() -> str:
        argv = [*ssh_command(cluster, node), "true"]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else done.stderr.strip() or f"exit status {done.returncode}"

    failure = f"The node {node.name} does not answer over SSH"
    wait_until(missing, failure, POLL_SECONDS, quiet=START_SECONDS, longest=cluster.patience)


def wait_for_ssh_everywhere(cluster: Cluster) -> None:
    """Wait until all nodes of a cluster answer over SSH."""
    in_parallel(lambda node: wait_for_ssh(cluster, node), cluster.nodes)
