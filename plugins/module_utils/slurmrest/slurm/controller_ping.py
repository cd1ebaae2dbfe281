"""How the controllers of a cluster stand, by what Slurm's programs print."""

from __future__ import annotations

import os
import re

_CONTROLLERS = re.compile(r"^Slurmctld\((?P<role>[^)]+)\) at (?P<host>\S+) is (?P<state>\w+)", re.MULTILINE)


def states(ping: str) -> dict[str, str]:
    """State of each controller by its role and host, from what ``scontrol ping`` prints: ``{"primary ctl1": "UP"}``."""
    return {f"{match['role']} {match['host']}": match["state"] for match in _CONTROLLERS.finditer(ping)}


def own(ping: str, host: str = "") -> dict[str, str]:
    """The same of the controller on this host, or on `host`; nothing where it is not known by its name."""
    name = (host or os.uname().nodename).partition(".")[0]
    return {who: state for who, state in states(ping).items() if who.split()[-1].partition(".")[0] == name}
