"""Images with the packages of a node's roles and nothing else: the next cluster needs no network for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slurmrest_toolkit.images.recipes import VERSION_LABEL, Image, digest, remove_old, sources
from slurmrest_toolkit.support.locks import locked, runtime_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from slurmrest_toolkit.clusters.state import Node
    from slurmrest_toolkit.containers.engine import Engine

INSTALLED = "localhost/slurmrest-packages"
"""Repository of the images with packages; their tags begin with the kind of base and the node's roles."""

INGREDIENTS = ("playbooks/cluster.yml", "playbooks/deploy.yml", "roles/slurm_common", "roles/slurm_packages")
"""What decides which packages a node gets."""

SCRUB = Path(__file__).with_name("scrub.sh")


def installed_name(base: Image, roles: Sequence[str], root: Path, mounted: Iterable[str] = ()) -> str:
    """Return the name of the image with the packages of a node's roles, made or not.

    Args:
        base: the base image.
        roles: the node's roles.
        root: the clone, where the ingredients are.
        mounted: where the node has volumes: these directories stay in an image of it, empty and root's.
    """
    key = digest((base.name, SCRUB.read_text(encoding="utf-8"), *sorted(mounted), *sources(root, INGREDIENTS)))
    return f"{INSTALLED}:{installed_prefix(base, roles)}{key}"


def installed_prefix(base: Image, roles: Sequence[str]) -> str:
    """Return the beginning of the tags of all images that replace each other for these roles."""
    kind = base.name.rpartition(":")[2].partition("-")[0]
    return f"{kind}-{'.'.join(roles)}-"


def keep_installed(engine: Engine, node: Node, base: Image, image: Image) -> None:
    """Make an image out of a node that has its packages and nothing else yet, without what two nodes must not share.

    Args:
        engine: the container engine.
        node: a running node; it goes on undisturbed.
        base: what it was started from.
        image: the name from :func:`installed_name`, and the version of Slurm that is installed.
    """
    with locked(runtime_directory() / "image-packages.lock", waiting=lambda: None):
        if engine.image_labels(image.name) is None:
            script = SCRUB.read_text(encoding="utf-8")
            engine.execute(node.container, "sh", "-s", "hide", text=script)
            try:
                engine.commit(node.container, image.name, {VERSION_LABEL: image.slurm_version})
            finally:
                engine.execute(node.container, "sh", "-s", "restore", text=script)
        remove_old(engine, INSTALLED, installed_prefix(base, node.roles), keep=image.name)
