"""The one reader of ``systemctl show``: the command, and what its answers say."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence


def command(units: Sequence[str], properties: str = "") -> list[str]:
    """The command that shows units; all of their properties, set or not, where none is named.

    Args:
        units: names of units, or patterns such as ``slurmrestd@*.service``.
        properties: names, joined by commas.
    """
    return ["systemctl", "show", "--no-pager", f"--property={properties}" if properties else "--all", *units]


def blocks(output: str) -> list[dict[str, str]]:
    """The properties of each unit in an answer, in its order."""
    found = (dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in output.split("\n\n"))
    return [block for block in found if block]


def by_unit(output: str) -> dict[str, dict[str, str]]:
    """The same by the name of the unit (property ``Id``, which has to be asked for)."""
    return {block["Id"]: block for block in blocks(output) if "Id" in block}


def running(state: Mapping[str, str]) -> bool:
    """Whether a unit runs, or is on its way to it."""
    return state.get("ActiveState") in ("active", "reloading", "activating")


def enabled(state: Mapping[str, str]) -> bool:
    """Whether systemd starts a unit by itself, or no one needs to ask it to (``static``, ``alias``)."""
    return state.get("UnitFileState") in ("enabled", "enabled-runtime", "alias", "static")


def number(state: Mapping[str, str], name: str) -> int:
    """A property that is a number; 0 where it is not there or not set."""
    text = state.get(name, "")
    return int(text) if text.isdigit() else 0


def age(state: Mapping[str, str]) -> float:
    """Seconds since the start of a unit began: 0 for one whose turn is still to come.

    Infinite for one that does not run and is not about to, or that begins again and again.
    """
    if running(state) and not state.get("SubState", "").startswith("auto-restart"):
        return time.monotonic() - number(state, "InactiveExitTimestampMonotonic") / 1e6
    return 0.0 if number(state, "Job") and not running(state) else math.inf
