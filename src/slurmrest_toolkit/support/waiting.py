"""Waiting for a condition, with a limit: nothing sleeps and hopes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from slurmrest_toolkit.support.errors import ClusterFailedError

if TYPE_CHECKING:
    from collections.abc import Callable


def wait_until(missing: Callable[[], str], deadline: float, failure: str, pause: float) -> None:
    """Ask until nothing is missing.

    Args:
        missing: says what is missing, nothing once all is there.
        deadline: until when, by the monotonic clock, in seconds.
        failure: what is said where it is not there by then, before the last words.
        pause: seconds between two questions.

    Raises:
        ClusterFailedError: the time is over.
    """
    while words := missing():
        if time.monotonic() > deadline:
            raise ClusterFailedError(f"{failure}: {words}")
        time.sleep(pause)
