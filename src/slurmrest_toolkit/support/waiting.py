"""Waiting for a condition, with a limit: nothing sleeps and hopes, and nothing that makes progress is given up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from slurmrest_toolkit.support.errors import ClusterFailedError

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 600.0
"""Seconds after which a wait ends, whatever goes on, where nothing else was asked for."""


def wait_until(
    missing: Callable[[], str],
    failure: str,
    pause: float,
    *,
    quiet: float,
    longest: float = LONGEST,
    busy: Callable[[], bool] = lambda: False,
) -> None:
    """Ask until nothing is missing, as long as there is progress: a new answer, or work that goes on.

    Args:
        missing: says what is missing, nothing once all is there.
        failure: what is said where it is not there in time, before the seconds and the last words.
        pause: seconds between two questions.
        quiet: seconds without progress after which it is given up.
        longest: seconds after which it is given up in any case.
        busy: whether work goes on; asked only when it was quiet for so long.

    Raises:
        ClusterFailedError: the time is over.
    """
    began = moved = time.monotonic()
    known: set[str] = set()
    while words := missing():
        now = time.monotonic()
        if words not in known:
            known.add(words)
            moved = now
        if now - began > longest or (now - moved > quiet and not busy()):
            raise ClusterFailedError(f"{failure} after {now - began:.0f} s: {words}")
        if now - moved > quiet:
            moved = now
        time.sleep(pause)
