"""How the controllers of a cluster stand, by what Slurm's programs print."""

from __future__ import annotations

import re

_CONTROLLERS = re.compile(r"^Slurmctld\((?P<role>[^)]+)\) at (?P<host>\S+) is (?P<state>\w+)", re.MULTILINE)


def states(ping: str) -> dict[str, str]:
    """State of each controller by its role and host, from what ``scontrol ping`` prints: ``{"primary ctl1": "UP"}``."""
    return {f"{match['role']} {match['host']}": match["state"] for match in _CONTROLLERS.finditer(ping)}
