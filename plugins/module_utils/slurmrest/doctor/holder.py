"""Who has a port that a daemon of Slurm is to have, in words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def holder(entry: Mapping[str, Any]) -> str:
    """Who listens: the program, and of which unit it is where that is known; empty where nobody can tell."""
    unit = entry.get("unit") or ""
    return f"{entry['program']} (of {unit})" if unit and entry["program"] else str(entry["program"] or "")
