"""How long one waits for daemons that were started a moment ago, before anybody takes their silence for an answer.

One that has no state of accounting yet (slurmctld writes that when it ends in order, not when power fails) answers
nobody before slurmdbd answers it, and that waits for the recovery of its database. To systemd both are active all the
while.
"""

from __future__ import annotations

import time
from typing import Callable

from .daemons import STARTING_SECONDS

PAUSE = 2.0


def awaited(there: Callable[[], bool], age: Callable[[], float], pause: Callable[[float], None] = time.sleep) -> bool:
    """Wait until something is there, or `age` is that of what has had its time; whether there was a wait."""
    waited = False
    while age() < STARTING_SECONDS and not there():
        pause(PAUSE)
        waited = True
    return waited


def uptime() -> float:
    """Seconds since this host was booted, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
