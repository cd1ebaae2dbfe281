"""What images are called after: hashes of everything that goes in. Old ones of a kind go when nothing uses them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from slurmrest_toolkit.containers.engine import Engine

VERSION_LABEL = "slurmrest.slurm-version"
"""Label of an image: the version of Slurm that its suite offered, or that is installed in it."""


@dataclass(frozen=True)
class Image:
    """An image of this engine: its name, and the version of Slurm in reach of its package manager."""

    name: str
    slurm_version: str


def digest(parts: Iterable[str]) -> str:
    """Twelve hexadecimal digits that change when any of the parts does."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def sources(root: Path, paths: Iterable[str]) -> Iterator[str]:
    """Yield name and text of every file at or below some paths of a clone, without the caches of tools."""
    for path in paths:
        for file in sorted({root / path, *(root / path).rglob("*")}):
            parts = file.relative_to(root).parts
            if file.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in parts):
                yield str(file.relative_to(root))
                yield file.read_text(encoding="utf-8")


def remove_old(engine: Engine, repository: str, prefix: str, *, keep: str) -> None:
    """Remove images of a repository whose tags begin with ``prefix``, but the one to keep, one other and those in use.

    The other one is for whoever works with two versions of this project in turn.
    """
    others = [tag for tag in engine.tags(repository) if tag.startswith(prefix) and f"{repository}:{tag}" != keep]
    for tag in others[1:]:
        engine.remove_image(f"{repository}:{tag}")
