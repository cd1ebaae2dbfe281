"""A cluster in words, for people and for machines."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from slurmrest_toolkit.clusters import gateway, rest, tokens, users
from slurmrest_toolkit.clusters.state import DEFAULT_NAME, cluster_names
from slurmrest_toolkit.nodes import inventory

if TYPE_CHECKING:
    from slurmrest_toolkit.clusters.state import Cluster, Node


def node_object(node: Node) -> dict[str, Any]:
    """Describe a node for machines."""
    rest = None if node.rest_port is None else {"host": "127.0.0.1", "port": node.rest_port}
    return {
        "name": node.name,
        "roles": node.roles,
        "ssh": {"host": "127.0.0.1", "port": node.ssh_port},
        "rest": rest,
    }


def describe(cluster: Cluster) -> dict[str, Any]:
    """Describe a cluster for machines: what ``up --json`` prints, without any secret."""
    directory = cluster.directory
    served = not cluster.bare and cluster.ready
    return {
        "name": cluster.name,
        "slurm_version": cluster.slurm_version,
        "layout": cluster.layout,
        "nodes": [node_object(node) for node in cluster.nodes],
        "base_url": cluster.base_url if served else None,
        "unix_socket": inventory.SOCKET if served else None,
        "token": str(tokens.token_file(cluster, tokens.ADMINISTRATOR)) if served else None,
        "user_token": str(tokens.token_file(cluster, inventory.ORDINARY_USER)) if served else None,
        "gateway": gateway.describe(cluster) if served else None,
        "api_versions": cluster.api_versions,
        "cluster_name": inventory.CLUSTER_NAME,
        "users": {
            name: {"token": str(tokens.token_file(cluster, name)), "headers": str(tokens.header_file(cluster, name))}
            for name in (users.known(cluster) if served else ())
        },
        "conf": cluster.conf,
        "timings": cluster.timings,
        "verify": cluster.verify,
        "inventory": str(directory / "inventory" / "hosts.yml"),
        "ssh_config": str(directory / "ssh_config"),
    }


def summary(cluster: Cluster) -> str:
    """Return what a person wants to know about a running cluster."""
    unfinished = "" if cluster.ready else ", not finished"
    lines = [f"Cluster {cluster.name}: Slurm {cluster.slurm_version}, {cluster.layout}{unfinished}", ""]
    width = max(len(node.name) for node in cluster.nodes)
    lines += [
        f"  {node.name:<{width}}  ssh 127.0.0.1:{node.ssh_port}  {' '.join(node.roles)}" for node in cluster.nodes
    ]
    # As the user called it, so that the lines work when pasted.
    command = os.environ.get("SLURMREST_COMMAND", "slurmrest")
    name = "" if cluster.name == DEFAULT_NAME and len(cluster_names()) == 1 else f" --name {cluster.name}"
    if not cluster.bare and cluster.ready:
        phases = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in cluster.timings.items())
        lines += [
            "",
            f"  REST API      {cluster.base_url}",
            f"  in {cluster.rest_node.name:<10} 0.0.0.0:6820, unix:{inventory.SOCKET}",
            *([f"  gateway       {cluster.gateway_url}"] if cluster.gateway_node else []),
            f"  API versions  {' '.join(cluster.api_versions)}",
            f"  users         {', '.join(users.known(cluster))}",
            f"  seconds       {phases}; {sum(cluster.timings.values()):.1f} in all",
            "",
            "  ask it        " + rest.example(cluster),
            *(["  over TLS      " + gateway.example(cluster)] if cluster.gateway_node else []),
            f"  or            {command} cluster curl{name} diag",
            f"  a token       {command} cluster token{name} --user {inventory.ORDINARY_USER}",
        ]
    lines += [
        f"  a shell       {command} cluster shell{name} {cluster.controller.name}",
        f"  remove it     {command} cluster down {cluster.name}",
    ]
    return "\n".join(lines)
