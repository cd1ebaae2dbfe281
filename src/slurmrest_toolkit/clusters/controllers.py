"""The controllers of a cluster: which of them answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from slurmrest.slurm.commands import states

from slurmrest_toolkit.support.errors import ClusterFailedError

if TYPE_CHECKING:
    from slurmrest_toolkit.clusters.state import Cluster
    from slurmrest_toolkit.containers.engine import Engine

READY_SECONDS = 60.0
PAUSE_SECONDS = 0.2
UP = "UP"


def wait_until_up(engine: Engine, cluster: Cluster) -> None:
    """Wait until each controller answers ``scontrol ping``, a backup as one that stands by.

    Raises:
        ClusterFailedError: one of them does not within a minute.
    """
    deadline = time.monotonic() + READY_SECONDS
    while True:
        done = engine.run("exec", cluster.controller.container, "env", "-u", "SLURM_JWT", "scontrol", "ping")
        found = states(done.stdout)
        if len(found) == len(cluster.controllers) and set(found.values()) == {UP}:
            return
        if time.monotonic() > deadline:
            words = done.stdout.strip() or done.stderr.strip()
            raise ClusterFailedError(f"Not all controllers are up after {READY_SECONDS:g} s: {words}")
        time.sleep(PAUSE_SECONDS)
