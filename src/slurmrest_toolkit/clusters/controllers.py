"""The controllers of a cluster: which of them answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slurmrest.slurm.controller_ping import states

from slurmrest_toolkit.clusters.liveness import booting
from slurmrest_toolkit.support.waiting import wait_until

if TYPE_CHECKING:
    from slurmrest_toolkit.clusters.state import Cluster
    from slurmrest_toolkit.containers.engine import Engine

READY_SECONDS = 60.0
PAUSE_SECONDS = 0.2
UP = "UP"


def wait_until_up(engine: Engine, cluster: Cluster) -> None:
    """Wait until each controller answers ``scontrol ping``, a backup as one that stands by.

    Raises:
        ClusterFailedError: one of them does not, and for a minute nothing got on.
    """

    def missing() -> str:
        done = engine.run("exec", cluster.controller.container, "env", "-u", "SLURM_JWT", "scontrol", "ping")
        found = states(done.stdout)
        if len(found) == len(cluster.controllers) and set(found.values()) == {UP}:
            return ""
        return done.stdout.strip() or done.stderr.strip() or "scontrol ping says nothing"

    wait_until(
        missing,
        "Not all controllers are up",
        PAUSE_SECONDS,
        quiet=READY_SECONDS,
        longest=cluster.patience,
        busy=lambda: booting(engine, cluster),
    )
