"""Variables named nearly as those of this collection: Ansible takes any name, and a misspelt one does nothing."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from .variable_names import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NEAR = 0.9
"""Ratio of difflib.SequenceMatcher: a letter or two of a long name. Names of ours are further apart, or known."""


def misspelt(names: Iterable[str]) -> Iterator[str]:
    """Say of each of a host's variables that is nearly one of ours which one that is."""
    for name in sorted(name for name in names if name.startswith("slurm") and name not in NAMES):
        near = get_close_matches(name, NAMES, 1, _NEAR)
        if near:
            yield f"{name}: there is no such variable, and it does nothing. {near[0]} is meant?"
