"""A slurmctld that was started a moment ago is waited for by who wants a token of it, also from another host."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Callable

from ..host import programs
from ..host.proc import read_text
from ..slurm.daemons import CONTROLLER, STARTING_SECONDS
from ..slurm.starting import PAUSE, uptime
from .token_line import demanded, token_in

if TYPE_CHECKING:
    from ..host.programs import Done

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
        pause(PAUSE)
        done = ask()
    return demanded(done)


def _unreached(done: Done[str]) -> bool:
    return done.returncode == programs.TOO_SLOW or any(words in done.stderr for words in _UNREACHED)


def _age() -> float:
    """Seconds since this host's slurmctld was started, or the host where none runs; of several the eldest counts."""
    pids = [name for name in os.listdir("/proc") if name.isdigit()]
    stats = [read_text(f"/proc/{pid}/stat") for pid in pids if read_text(f"/proc/{pid}/comm") == f"{CONTROLLER}\n"]
    ticks = [int(stat.rpartition(")")[2].split()[19]) for stat in stats if stat]
    return uptime() - min(ticks, default=0) / os.sysconf("SC_CLK_TCK")
