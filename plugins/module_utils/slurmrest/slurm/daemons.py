"""Slurm's daemons by the names of their units."""

from __future__ import annotations

import re

CONTROLLER, DATABASE = "slurmctld", "slurmdbd"

DEFAULT_KEY = "jwt_hs256.key"
"""Beside slurmctld's state."""

SLURMCTLD_TIMEOUT = 120
"""Seconds, where slurm.conf has no SlurmctldTimeout."""

DAEMONS = ("slurmrestd", "slurmctld", "slurmdbd", "slurmd")

_PORTS = re.compile(r"\s*([0-9]{1,5})(?:-([0-9]{1,5}))?\s*", re.ASCII)


def ports_of(text: str) -> range:
    """The ports of a SlurmctldPort or DbdPort, such as ``6817`` or ``6820-6829``; none where it is something else.

    Root reads files of SlurmUser's: a range that no ports are in must not become that many numbers.
    """
    found = _PORTS.fullmatch(text)
    low, high = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    return range(low, high + 1) if 0 < low <= high <= 65535 else range(0)
