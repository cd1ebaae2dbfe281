"""Whether a unit runs, asked of systemd."""

from __future__ import annotations

from ..host.programs import SECONDS, Run
from .show import blocks, command

STATE = "LoadState,ActiveState,SubState,Result,NRestarts,ConditionResult,UnitFileState,NeedDaemonReload,MainPID"
"""The properties that decide whether a unit runs."""


def state(run: Run, unit: str, properties: str = STATE) -> dict[str, str]:
    """The properties of a unit; empty without systemd."""
    found = blocks(run(command([unit], properties), limit=SECONDS).stdout)
    return found[0] if found else {}
