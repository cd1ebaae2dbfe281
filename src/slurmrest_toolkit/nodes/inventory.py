"""Files by which Ansible, SSH and people reach the nodes: rendered from a cluster's description, without I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from slurmrest_toolkit.clusters.state import GATEWAY
from slurmrest_toolkit.containers.engine import PROVIDER_PORT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from slurmrest_toolkit.clusters.state import Cluster, Node

GROUPS = ("slurmctld", "slurmdbd", "slurmrestd", "slurmd")
PROVIDER_ISSUER = f"https://localhost:{PROVIDER_PORT}"
PROVIDER_CLIENT = "gateway"
"""The test provider as the gateway beside it knows it, and the gateway's name there."""

GATEWAY_DIRECTORY = "/etc/slurmrest-gateway"
"""Where the node of a gateway has its certificate, and the authority that signed it."""

USER = "admin"
ORDINARY_USER = "alice"
CLUSTER_NAME = "slurmrest"
"""What Slurm calls each of these clusters: its database belongs to this name, and comes with the image of a node."""

SOCKET = "/run/slurmrestd/slurmrestd.socket"


def host_alias(cluster: Cluster, node: Node) -> str:
    """Name under which a node's host key is known; unlike its port, it belongs to this node alone."""
    return f"slurmrest-{cluster.name}-{node.name}"


def ssh_options(cluster: Cluster, node: Node, directory: Path) -> dict[str, str]:
    """Return OpenSSH's options for one node; strict checking of host keys stays on."""
    return {
        "HostKeyAlias": host_alias(cluster, node),
        "UserKnownHostsFile": f'"{directory / "known_hosts"}"',
        "StrictHostKeyChecking": "yes",
        "IdentityFile": f'"{directory / "id_ed25519"}"',
        "IdentitiesOnly": "yes",
    }


def render_ssh_config(cluster: Cluster, directory: Path) -> str:
    """Return an ``ssh_config`` with one host a node: ``ssh -F ssh_config node1``."""
    blocks = []
    for node in cluster.nodes:
        options = {
            "HostName": "127.0.0.1",
            "Port": str(node.ssh_port),
            "User": USER,
            **ssh_options(cluster, node, directory),
            "LogLevel": "ERROR",
        }
        blocks.append("\n".join((f"Host {node.name}", *(f"    {key} {value}" for key, value in options.items()))))
    return "\n\n".join(blocks) + "\n"


def render_known_hosts(cluster: Cluster, keys: Mapping[str, str]) -> str:
    """Return ``known_hosts`` from each node's own public host key, as read inside the node."""
    lines = []
    for node in cluster.nodes:
        kind, key = keys[node.name].split()[:2]
        lines.append(f"{host_alias(cluster, node)} {kind} {key}\n")
    return "".join(lines)


def render_inventory(cluster: Cluster, directory: Path, variables: Mapping[str, Any]) -> str:
    """Return the Ansible inventory: the nodes in their groups, and ``variables`` for all of them."""
    hosts = {
        node.name: {
            "ansible_host": "127.0.0.1",
            "ansible_port": node.ssh_port,
            "ansible_ssh_common_args": " ".join(
                f"-o '{key}={value}'"
                for key, value in ssh_options(cluster, node, directory).items()
                if key != "IdentityFile"
            ),
        }
        for node in cluster.nodes
    }
    connection = {
        "ansible_user": USER,
        "ansible_become": True,
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_private_key_file": str(directory / "id_ed25519"),
    }
    document = {
        "all": {
            "hosts": hosts,
            "vars": {**connection, **variables},
            "children": {
                group: {"hosts": {node.name: {} for node in cluster.nodes if group in node.roles}}
                for group in (*GROUPS, *([GATEWAY] if cluster.gateway_node else []))
            },
        }
    }
    header = f"# The test cluster {cluster.name}, written by slurmrest cluster up.\n"
    return header + yaml.safe_dump(document, sort_keys=False, width=120)


def role_variables(cluster: Cluster, *, cgroup_plugin: str | None) -> dict[str, Any]:
    """Return the roles' variables for nodes that are containers.

    Args:
        cluster: the cluster.
        cgroup_plugin: ``CgroupPlugin`` for a slurmd without cgroups of its own (from the release table), or None.
    """
    machine = cluster.machine
    # A backup takes over soon; what a takeover takes by default would be most of a test.
    several = {"SlurmctldTimeout": 10} if len(cluster.controllers) > 1 else {}
    return {
        "slurm_conf_cluster_name": CLUSTER_NAME,
        "slurm_conf_nodes": [
            {"name": node.name, "cpus": machine.cpus, "real_memory": machine.memory}
            for node in cluster.nodes
            if "slurmd" in node.roles
        ],
        # A container has no cgroup tree and no processor affinity of its own to give away. Jobs start soon: slurmctld
        # reads the first of the two delays only when it schedules for the first time, three seconds after its start;
        # the backfill scheduler looks each second from the first one on.
        "slurm_conf_options": {
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "JobAcctGatherType": "jobacct_gather/none",
            "SlurmdParameters": "config_overrides",
            "SchedulerParameters": "batch_sched_delay=0,bf_interval=1",
            **several,
            **cluster.conf,
        },
        "slurm_conf_cgroup_options": {"CgroupPlugin": cgroup_plugin} if cgroup_plugin else {},
        "slurmrestd_service_listen": ["0.0.0.0:6820", f"unix:{SOCKET}"],
        "slurm_cluster_users": [{"name": ORDINARY_USER, "uid": 2000}],
        **(gateway_variables(cluster) if cluster.gateway_node else {}),
    }


def gateway_variables(cluster: Cluster) -> dict[str, Any]:
    """Return the variables of role slurmrest_gateway; between the nodes of a test cluster there is nobody else."""
    return {
        "slurmrest_gateway_name": "localhost",
        "slurmrest_gateway_certificate": f"{GATEWAY_DIRECTORY}/certificate.pem",
        "slurmrest_gateway_certificate_key": f"{GATEWAY_DIRECTORY}/key.pem",
        "slurmrest_gateway_plain_acknowledged": len(cluster.rest_nodes) > 1,
        "slurmrest_gateway_identity": cluster.identity,
        **(provider_variables(cluster) if cluster.identity == "oidc" else {}),
    }


def provider_variables(cluster: Cluster) -> dict[str, Any]:
    """Return the variables by which the gateway has users log in at the test provider."""
    provider = {
        "issuer": PROVIDER_ISSUER,
        "client_id": PROVIDER_CLIENT,
        "ca_file": f"{GATEWAY_DIRECTORY}/authority.pem",
    }
    return {"slurmrest_gateway_url": cluster.gateway_url, "slurmrest_gateway_oidc": provider}
