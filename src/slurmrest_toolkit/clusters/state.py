"""A cluster as it is remembered on disk."""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmrest.errors import InputError

from slurmrest_toolkit.support.errors import CannotRunError
from slurmrest_toolkit.support.locks import CLUSTERS, make_private, state_directory
from slurmrest_toolkit.support.waiting import LONGEST

if TYPE_CHECKING:
    from collections.abc import Mapping

GATEWAY = "slurmrest_gateway"
"""The role of a node with TLS in front of slurmrestd."""

DEFAULT_NAME = "default"

STATE_SAVE_LOCATION = "/var/lib/slurm/slurmctld"
"""Where the roles have slurmctld keep its state; several controllers share it."""

CLUSTER_LABEL = "slurmrest.cluster"
NODE_LABEL = "slurmrest.node"
STATE_LABEL = "slurmrest.state"
"""Label with the state directory, by which leftovers of a lost one are told from somebody's live cluster."""

FIXED_KEYS = (
    *("AuthAltParameters", "AuthAltTypes", "AuthType", "ClusterName", "NodeName", "PartitionName"),
    *("SlurmUser", "SlurmctldHost", "StateSaveLocation"),
)
"""Keys by which the nodes find each other and start from images; others win over what the roles say."""

_KEY = re.compile(r"[A-Za-z]+")
_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,28}[a-z0-9])?")


@dataclass
class Node:
    """One container: its name is its host name; ports are on loopback, those of REST only where it is."""

    name: str
    roles: list[str]
    container: str
    ssh_port: int = 0
    rest_port: int | None = None
    gateway_port: int | None = None
    provider_port: int | None = None


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
    """What ``cluster.json`` holds; ``ready`` turns true as the last step of ``up``, and ``bare`` ones have no Slurm.

    ``patience`` is after how many seconds a wait of its start ends, whatever goes on. ``root`` is whether root's Podman
    runs it, and not that of an account, which are two; None where that makes no difference.
    """

    name: str
    slurm_version: str
    layout: str
    engine: str
    nodes: list[Node]
    machine: Machine = field(default_factory=Machine.here)
    capabilities: list[str] = field(default_factory=list)
    conf: dict[str, str] = field(default_factory=dict)
    ready: bool = False
    bare: bool = False
    identity: str = "token"
    patience: float = LONGEST
    api_versions: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    verify: dict[str, Any] | None = None
    root: bool | None = None

    @property
    def directory(self) -> Path:
        """Where this cluster's files are."""
        return cluster_directory(self.name)

    @property
    def network(self) -> str:
        """Name of its network."""
        return f"slurmrest-{self.name}"

    @property
    def rest_nodes(self) -> list[Node]:
        """The nodes whose slurmrestd is published."""
        return [node for node in self.nodes if "slurmrestd" in node.roles]

    @property
    def rest_node(self) -> Node:
        """The first of them."""
        return self.rest_nodes[0]

    @property
    def controllers(self) -> list[Node]:
        """The nodes of slurmctld, the primary first."""
        return [node for node in self.nodes if "slurmctld" in node.roles]

    @property
    def controller(self) -> Node:
        """The node of the primary slurmctld."""
        return self.controllers[0]

    @property
    def shared_state(self) -> str | None:
        """Name of the volume with the state that several controllers share; None where there is only one."""
        return f"slurmrest-{self.name}-state" if len(self.controllers) > 1 else None

    def volumes_of(self, node: Node) -> dict[str, str]:
        """Map the volumes of a node to where they are mounted."""
        return {self.shared_state: STATE_SAVE_LOCATION} if self.shared_state and "slurmctld" in node.roles else {}

    @property
    def base_urls(self) -> list[str]:
        """Where the REST API answers on this host, one address for each REST host."""
        return [f"http://127.0.0.1:{node.rest_port}" for node in self.rest_nodes]

    @property
    def base_url(self) -> str:
        """The first of them."""
        return self.base_urls[0]

    @property
    def gateway_node(self) -> Node | None:
        """The node of the gateway, where there is one."""
        return next((node for node in self.nodes if GATEWAY in node.roles), None)

    @property
    def gateway_url(self) -> str | None:
        """Where the gateway answers on this host."""
        return f"https://127.0.0.1:{self.gateway_node.gateway_port}" if self.gateway_node else None

    @property
    def provider_url(self) -> str | None:
        """Where browsers on this host reach the test provider, where users of the gateway log in with one."""
        node = self.gateway_node
        return f"https://127.0.0.1:{node.provider_port}" if node and self.identity == "oidc" else None

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
        write_private(self.directory / "cluster.json", json.dumps(asdict(self), indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Replace a file by one that only its owner may read; in a directory of others nobody can have put it there."""
    make_private(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def validate_name(name: str) -> str:
    """Return a cluster's name.

    Raises:
        InputError: it could not be part of container, network and file names.
    """
    if not _NAME.fullmatch(name):
        raise InputError("--name", name, "1 to 30 lower-case letters, digits and inner hyphens, a letter first")
    return name


def check_conf(conf: Mapping[str, str]) -> None:
    """Refuse keys of slurm.conf that are none, or belong to the cluster itself.

    Raises:
        InputError: with what is allowed.
    """
    for key, value in conf.items():
        allowed = f"KEY=VALUE of slurm.conf on one line, without {', '.join(FIXED_KEYS)}"
        fixed = key.lower() in {one.lower() for one in FIXED_KEYS}
        if not _KEY.fullmatch(key) or not value or not value.isprintable() or value != value.strip() or fixed:
            raise InputError("--conf", f"{key}={value}", allowed, "the cluster's own" if fixed else None)


def clusters_directory() -> Path:
    """Directory of all clusters of this user."""
    return state_directory() / CLUSTERS


def cluster_directory(name: str) -> Path:
    """Directory of one cluster."""
    return clusters_directory() / name


def cluster_names() -> list[str]:
    """Names of all clusters that have left something on disk, complete or not."""
    return sorted(path.name for path in clusters_directory().glob("*") if path.is_dir())


def load(name: str) -> Cluster | None:
    """Read a cluster from disk; None where there is none, or where ``up`` was killed before it wrote anything.

    Raises:
        CannotRunError: its file is none of ours.
    """
    path = cluster_directory(validate_name(name)) / "cluster.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        there = _known(Cluster, data)
        there["nodes"] = [Node(**_known(Node, node)) for node in data["nodes"]]
        if "machine" in data:
            there["machine"] = Machine(**_known(Machine, data["machine"]))
        return Cluster(**there)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CannotRunError(
            f"{path} is no record of a cluster: {error}.", f"Remove what is left of it: slurmrest cluster down {name}"
        ) from None


def _known(kind: type, data: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what a later version of this toolkit remembers besides."""
    names = {field.name for field in fields(kind)}
    return {key: value for key, value in data.items() if key in names}


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
            f"Start one: slurmrest cluster up{f' --name {shlex.quote(name)}' if name else ''}",
        )
    return cluster
