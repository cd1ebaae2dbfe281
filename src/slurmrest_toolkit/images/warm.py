"""Converged nodes kept as images, from which a cluster starts in seconds with keys of its own.

After a cold start one node of each kind is sealed (``seal.sh``: daemons stopped, everything taken away that belongs to
this node and this run) and kept as an image. A node started from it waits at boot for its keys. They are made here, in
memory, for the cluster that starts, and go to the nodes through standard input; the daemons then start by themselves.

The tag of an image is a hash of everything that went into it. The images of one recipe form a set; a few sets are kept.
"""

from __future__ import annotations

import base64
import importlib.metadata
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from slurmrest.auth import bearer, jwt

from slurmrest_toolkit.clusters.state import Cluster, Machine, Node
from slurmrest_toolkit.images.archive import WARM
from slurmrest_toolkit.images.packages import SCRUB
from slurmrest_toolkit.images.recipes import VERSION_LABEL, digest, sources
from slurmrest_toolkit.nodes import inventory
from slurmrest_toolkit.nodes.start import in_parallel
from slurmrest_toolkit.support.locks import locked, runtime_directory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from slurmrest_toolkit.containers.engine import Engine

KEYS_LABEL = "slurmrest.keys"

MACHINE_LABEL = "slurmrest.machine"

SETS_KEPT = 9
"""So many sets stay: the three releases in all layouts, on one state of the project."""

INGREDIENTS = ("ansible.cfg", "playbooks", "plugins", "roles")
"""What decides how a node is converged, besides Ansible itself: everything that it reads here."""

SEAL = Path(__file__).with_name("seal.sh")

CERTIFY = Path(__file__).with_name("certify.sh")
"""What the node of a gateway runs, when it is deployed to and at each start from an image, to have a certificate."""

JWT_KEY = "/var/lib/slurm/jwt/jwt_hs256.key"

AUTHORIZED_KEYS = "/etc/ssh/authorized_keys"


@dataclass(frozen=True)
class Recipe:
    """What a set of images is made of: ``tags`` maps the roles of each kind of node to the tag of its image."""

    prefix: str
    tags: Mapping[tuple[str, ...], str]

    def image(self, node: Node) -> str:
        """Return the name of the image that a node starts from, made or not."""
        return f"{WARM}:{self.tags[tuple(node.roles)]}"

    @property
    def names(self) -> list[str]:
        """Return the names of all images of the set."""
        return [f"{WARM}:{tag}" for tag in self.tags.values()]


@dataclass(frozen=True)
class Kept:
    """A set of images that is there, and for each image the keys of its nodes (path to size in bytes)."""

    recipe: Recipe
    slurm_version: str
    machine: Machine
    keys: Mapping[str, Mapping[str, int]]

    def paths(self, node: Node) -> list[str]:
        """Return the keys that a node has."""
        return list(self.keys[self.recipe.image(node)])


@dataclass(frozen=True)
class Secrets:
    """The keys of one cluster, which are in memory only: the path on the nodes to the bytes. They are not shown."""

    contents: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def make(cls, kept: Kept) -> Secrets:
        """Make new keys of the sizes that the roles give them."""
        return cls({path: os.urandom(size) for sizes in kept.keys.values() for path, size in sizes.items()})

    @property
    def signing_key(self) -> jwt.Key:
        """The key that signs tokens."""
        return jwt.Key(self.contents[JWT_KEY])

    def token(self, user: str, lifespan: int) -> bearer.Token:
        """Sign a token as ``scontrol token`` does, for a lifespan in seconds."""
        return jwt.encode(jwt.claims_for(user, lifespan), self.signing_key)

    def lines(self, paths: Sequence[str], client_key: str) -> str:
        """Return the standard input of slurmrest-renew: the keys that a node has, and who may log in to it."""
        files = {path: self.contents[path] for path in paths} | {AUTHORIZED_KEYS: client_key.encode("ascii")}
        return "".join(f"{path} {base64.b64encode(data).decode('ascii')}\n" for path, data in files.items())


def recipe(base: str, layout: str, planned: list[Node], root: Path, conf: Mapping[str, str] | None = None) -> Recipe:
    """Return what the images of a cluster are called.

    Args:
        base: name of the base image, which has a hash of what it is made of.
        layout: the layout of the nodes.
        planned: the nodes of such a cluster, whatever its name.
        root: the collection, where the ingredients are.
        conf: what slurm.conf says besides.
    """
    nodes = [Node(node.name, node.roles, node.name) for node in planned]
    example = Cluster("example", "", layout, "", nodes, conf=dict(conf or {}))
    # The version of Slurm comes from the base image; what the machine has comes back with the images.
    variables = inventory.role_variables(replace(example, machine=Machine(1, 1)), cgroup_plugin=None)
    described = {"nodes": [asdict(node) for node in example.nodes], "variables": variables}
    texts = (
        SEAL.read_text(encoding="utf-8"),
        CERTIFY.read_text(encoding="utf-8"),
        SCRUB.read_text(encoding="utf-8"),
        importlib.metadata.version("ansible-core"),
        *sources(root, INGREDIENTS),
    )
    key = digest((base, json.dumps(described, sort_keys=True), *texts))
    kind = base.rpartition(":")[2].partition("-")[0]
    prefix = f"{kind}-{key}-"
    return Recipe(prefix, {tuple(node.roles): prefix + ".".join(node.roles) for node in example.nodes})


def find(engine: Engine, wanted: Recipe) -> Kept | None:
    """Return the set of images of a recipe, or None where one of them is missing."""
    labels = engine.labels_of(wanted.names)
    if labels is None:
        return None
    keys = {name: read_sizes(entry[KEYS_LABEL]) for name, entry in zip(wanted.names, labels, strict=True)}
    machine = read_sizes(labels[0][MACHINE_LABEL])
    return Kept(wanted, labels[0][VERSION_LABEL], Machine(**machine), keys)


def keep(engine: Engine, cluster: Cluster, wanted: Recipe) -> Kept:
    """Make the images of a recipe out of a converged cluster, whose containers and network are gone afterwards.

    Raises:
        ClusterFailedError: the engine or a node refuses.
    """
    kinds = {wanted.image(node): node for node in cluster.nodes}

    def seal(node: Node) -> dict[str, int]:
        sizes = read_sizes(engine.execute(node.container, "sh", "-s", text=SEAL.read_text(encoding="utf-8")))
        engine.call("stop", node.container)
        return sizes

    keys = dict(zip(kinds, in_parallel(seal, list(kinds.values())), strict=True))
    with naming():
        kept = find(engine, wanted)
        if kept is None:  # else another start of the same kind was first: the name would leave its images
            for image, node in kinds.items():
                engine.remove_image(image)  # one of a set that is not whole
                labels = {
                    VERSION_LABEL: cluster.slurm_version,
                    KEYS_LABEL: write_sizes(keys[image]),
                    MACHINE_LABEL: write_sizes(asdict(cluster.machine)),
                }
                engine.commit(node.container, image, labels)
            kept = Kept(wanted, cluster.slurm_version, cluster.machine, keys)
        forget_old_sets(engine, wanted.prefix)
    engine.remove_containers([node.container for node in cluster.nodes])
    engine.call("network", "rm", cluster.network)
    if cluster.shared_state:
        engine.remove_volume(cluster.shared_state)
    return kept


def naming() -> AbstractContextManager[bool]:
    """Hold the lock of all who name warm images: an image whose name another one takes stays for ever, without any."""
    return locked(runtime_directory() / "image-warm.lock", waiting=lambda: None)


def write_sizes(sizes: Mapping[str, int]) -> str:
    """Write names and numbers as the label of an image: ``name:number,…``."""
    return ",".join(f"{name}:{number}" for name, number in sizes.items())


def read_sizes(text: str) -> dict[str, int]:
    """Read names and numbers from what :func:`write_sizes` wrote, or from one ``name:number`` a line."""
    pairs = (entry.rpartition(":") for entry in text.replace("\n", ",").split(",") if entry)
    return {name: int(number) for name, _, number in pairs}


def set_of(tag: str) -> str:
    """Return the part of a tag that all images of a set share."""
    return tag.rpartition("-")[0] + "-"


def forget_old_sets(engine: Engine, newest: str) -> None:
    """Remove all sets but the newest few; images that a container uses stay."""
    tags = engine.tags(WARM)
    sets = list(dict.fromkeys([newest, *map(set_of, tags)]))
    for tag in tags:
        if set_of(tag) in sets[SETS_KEPT:]:
            engine.remove_image(f"{WARM}:{tag}")


def renew(engine: Engine, node: Node, lines: str, *options: str) -> str:
    """Give a starting node its keys, which lets its daemons start; returns its public host key.

    Args:
        engine: the container engine.
        node: a node whose container has been started from a warm image.
        lines: what :meth:`Secrets.lines` returned.
        options: options of slurmrest-enrol.

    Raises:
        EngineError: the container is gone, or its systemd does not come up.
    """
    return engine.execute(node.container, "slurmrest-renew", "keys", *options, text=lines)
