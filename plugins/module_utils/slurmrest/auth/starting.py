"""Daemons that were started a moment ago are waited for: a slurmctld for its tokens, slurmdbd where its host booted.

One that has no state of accounting yet (it writes that when it ends in order, not when power fails) answers nobody
before slurmdbd answers it, and that waits for the recovery of its database. To systemd it is active all the while.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Callable

from ..host import programs
from ..host.proc import read_text
from ..slurm.daemons import CONTROLLER
from .token_line import demanded, token_in

if TYPE_CHECKING:
    from ..host.programs import Done

STARTING_SECONDS = 180.0
"""Age up to which slurmctld is waited for, and up to which a host is on which a daemon does not run yet."""

_PAUSE = 2.0
_UNREACHED = ("receiving response", "contact slurm controller")


def token_of(
    ask: Callable[[], Done[str]],
    age: Callable[[], float] | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> str:
    """The token that scontrol prints, asked again while slurmctld may still be starting.

    Raises SlurmrestError with scontrol's errors.
    """
    done = ask()
    while not token_in(done) and _unreached(done) and (age or _age)() < STARTING_SECONDS:
        pause(_PAUSE)
        done = ask()
    return demanded(done)


def awaited(
    there: Callable[[], bool], age: Callable[[], float] | None = None, pause: Callable[[float], None] = time.sleep
) -> None:
    """Wait until something is there, as long as this host has only just booted, and others of its site may have."""
    while not there() and (age or _uptime)() < STARTING_SECONDS:
        pause(_PAUSE)


def _unreached(done: Done[str]) -> bool:
    return done.returncode == programs.TOO_SLOW or any(words in done.stderr for words in _UNREACHED)


def _age() -> float:
    """Seconds since this host's slurmctld was started, or the host where none runs; of several the eldest counts."""
    pids = [name for name in os.listdir("/proc") if name.isdigit()]
    stats = [read_text(f"/proc/{pid}/stat") for pid in pids if read_text(f"/proc/{pid}/comm") == f"{CONTROLLER}\n"]
    ticks = [int(stat.rpartition(")")[2].split()[19]) for stat in stats if stat]
    return _uptime() - min(ticks, default=0) / os.sysconf("SC_CLK_TCK")


def _uptime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
