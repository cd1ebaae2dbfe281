"""Waiting for a condition, with a limit: nothing sleeps and hopes, and nothing that makes progress is given up."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from slurmrest_toolkit.support.errors import ClusterFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST = 600.0
"""Seconds after which a wait ends, whatever goes on, where nothing else was asked for."""


_here = threading.local()
"""In a thread of :func:`side_by_side`: ``given_up``, the events that end what it waits for."""


@contextlib.contextmanager
def side_by_side(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Have threads for calls side by side, all of which have ended afterwards.

    Where this is left by an exception, Ctrl-C for instance, nobody waits to the end for what they wait for.
    """
    given_up = threading.Event()
    above: tuple[threading.Event, ...] = getattr(_here, "given_up", ())

    def begin() -> None:
        _here.given_up = (*above, given_up)

    pool = ThreadPoolExecutor(max_workers=workers, initializer=begin)
    try:
        yield pool
    except BaseException:
        given_up.set()
        raise
    finally:
        pool.shutdown(cancel_futures=given_up.is_set())


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
        ClusterFailedError: the time is over, or whoever wanted it has given up.
    """
    began = moved = time.monotonic()
    known: set[str] = set()
    given_up: tuple[threading.Event, ...] = getattr(_here, "given_up", ())
    while words := missing():
        if any(event.is_set() for event in given_up):
            raise ClusterFailedError(f"{failure}, and is not waited for any more: {words}")
        now = time.monotonic()
        if words not in known:
            known.add(words)
            moved = now
        if now - began > longest or (now - moved > quiet and not busy()):
            raise ClusterFailedError(f"{failure} after {now - began:.0f} s: {words}")
        if now - moved > quiet:
            moved = now
        time.sleep(pause)
