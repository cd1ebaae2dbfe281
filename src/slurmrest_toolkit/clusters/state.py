"""A cluster as it is remembered on disk, and the layouts there are."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from slurmrest.errors import InputError

from slurmrest_toolkit.support.errors import CannotRunError
from slurmrest_toolkit.support.locks import state_directory

LAYOUTS = ("single", "split")
DEFAULT_NAME = "default"

CLUSTER_LABEL = "slurmrest.cluster"
NODE_LABEL = "slurmrest.node"
STATE_LABEL = "slurmrest.state"
"""Label with the state directory, by which leftovers of a lost one are told from somebody's live cluster."""

_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,28}[a-z0-9])?")


@dataclass
class Node:
    """One container: its name is its host name; ports are on loopback, ``rest_port`` only where slurmrestd runs."""

    name: str
    roles: list[str]
    container: str
    ssh_port: int = 0
    rest_port: int | None = None


@dataclass(frozen=True)
class Machine:
    """What a compute node tells Slurm that it has: processors, and memory in MiB."""

    cpus: int
    memory: int

    @classmethod
    def here(cls) -> Machine:
        """Return what this host has."""
        return cls(os.cpu_count() or 1, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20)


@dataclass
class Cluster:
    """What ``cluster.json`` holds; ``ready`` turns true as the last step of ``up``, and ``bare`` ones have no Slurm."""

    name: str
    slurm_version: str
    layout: str
    engine: str
    nodes: list[Node]
    machine: Machine = field(default_factory=Machine.here)
    capabilities: list[str] = field(default_factory=list)
    ready: bool = False
    bare: bool = False
    api_versions: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    verify: dict[str, Any] | None = None

    @property
    def directory(self) -> Path:
        """Where this cluster's files are."""
        return cluster_directory(self.name)

    @property
    def network(self) -> str:
        """Name of its network."""
        return f"slurmrest-{self.name}"

    @property
    def rest_node(self) -> Node:
        """The node whose slurmrestd is published."""
        return next(node for node in self.nodes if "slurmrestd" in node.roles)

    @property
    def controller(self) -> Node:
        """The node of the primary slurmctld."""
        return next(node for node in self.nodes if "slurmctld" in node.roles)

    @property
    def base_url(self) -> str:
        """Where the REST API answers on this host."""
        return f"http://127.0.0.1:{self.rest_node.rest_port}"

    def node(self, name: str) -> Node:
        """Return the node called ``name``.

        Raises:
            InputError: there is none.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise InputError("NODE", name, ", ".join(node.name for node in self.nodes))

    def save(self) -> None:
        """Write ``cluster.json``, by rename."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self.directory / "cluster.json", json.dumps(asdict(self), indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Replace a file by one that only its owner may read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


def validate_name(name: str) -> str:
    """Return a cluster's name.

    Raises:
        InputError: it could not be part of container, network and file names.
    """
    if not _NAME.fullmatch(name):
        raise InputError("--name", name, "1 to 30 lower-case letters, digits and inner hyphens, a letter first")
    return name


def clusters_directory() -> Path:
    """Directory of all clusters of this user."""
    return state_directory() / "clusters"


def cluster_directory(name: str) -> Path:
    """Directory of one cluster."""
    return clusters_directory() / name


def cluster_names() -> list[str]:
    """Names of all clusters that have left something on disk, complete or not."""
    return sorted(path.name for path in clusters_directory().glob("*") if path.is_dir())


def load(name: str) -> Cluster | None:
    """Read a cluster from disk; None where there is none, or where ``up`` was killed before it wrote anything."""
    try:
        text = (cluster_directory(validate_name(name)) / "cluster.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    data = json.loads(text)
    machine = {"machine": Machine(**data["machine"])} if "machine" in data else {}
    return Cluster(**{**data, "nodes": [Node(**node) for node in data["nodes"]], **machine})


def choose(name: str | None) -> Cluster:
    """Return the cluster called ``name``, or the only one there is.

    Raises:
        CannotRunError: there is no such cluster, or several to choose from.
    """
    names = [name] if name is not None else cluster_names()
    if len(names) > 1:
        raise CannotRunError(f"There are several clusters: {', '.join(names)}.", "Choose one with --name.")
    cluster = load(names[0]) if names else None
    if cluster is None:
        there = ", ".join(cluster_names()) or "none"
        raise CannotRunError(
            f"There is no cluster{f' called {name}' if name else ''} (there: {there}).",
            "Start one: slurmrest cluster up",
        )
    return cluster


def plan_nodes(cluster: str, layout: str, compute_nodes: int) -> list[Node]:
    """Return the nodes of a layout.

    Args:
        cluster: the cluster's name.
        layout: ``single`` (everything on one node) or ``split`` (controller, database, REST host, compute nodes).
        compute_nodes: number of compute nodes; a single node is one.

    Raises:
        InputError: the layout is unknown, or the number does not go with it.
    """
    if layout == "single":
        if compute_nodes != 1:
            raise InputError("--nodes", compute_nodes, "1 with --layout single", remedy="Use --layout split.")
        roles = {"node1": ["slurmctld", "slurmdbd", "slurmrestd", "slurmd"]}
    elif layout == "split":
        if not 1 <= compute_nodes <= 64:
            raise InputError("--nodes", compute_nodes, "1 to 64")
        compute = {f"c{number}": ["slurmd"] for number in range(1, compute_nodes + 1)}
        roles = {"ctl": ["slurmctld"], "db": ["slurmdbd"], "rest": ["slurmrestd"], **compute}
    else:
        raise InputError("--layout", layout, " or ".join(LAYOUTS))
    return [Node(name, groups, f"slurmrest-{cluster}-{name}") for name, groups in roles.items()]
