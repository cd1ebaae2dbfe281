"""The verification of a cluster from this host, with a job."""

from __future__ import annotations

import base64
import errno
from typing import TYPE_CHECKING, Any

from slurmrest.auth.jwt import Key
from slurmrest.rest.client import Credentials, Target
from slurmrest.slurm.releases import lookup
from slurmrest.verify import run as verify
from slurmrest.verify.table import render_table

from slurmrest_toolkit.clusters import tokens
from slurmrest_toolkit.images.warm import JWT_KEY
from slurmrest_toolkit.nodes import inventory
from slurmrest_toolkit.support.errors import ClusterFailedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmrest.auth.bearer import Token

    from slurmrest_toolkit.clusters.state import Cluster
    from slurmrest_toolkit.containers.engine import Engine

IDLE_CLIENTS = 8
"""Connections held open while another client must be served: a few of the least that a daemon allows."""


LEVELS = ("full", "quick", "none")
"""How a cluster is proven: with a job and clients that hold connections, by requests alone, or by answering at all."""


def prove(engine: Engine, cluster: Cluster, made: Sequence[Token], key: Key, level: str = LEVELS[0]) -> None:
    """Verify the cluster from this host over its published port, with a job of the ordinary user.

    Args:
        engine: the container engine.
        cluster: the cluster.
        made: tokens of ``tokens.USERS``.
        key: the key that signs tokens, for those that must be refused.
        level: one of :data:`LEVELS`.

    Raises:
        ClusterFailedError: a check failed or was skipped, for here everything can be proven; with the report.
    """
    root, ordinary = made
    if level == "none":  # it has answered before
        cluster.api_versions = list(lookup(cluster.slurm_version).release.api_versions)
        return
    full = level == "full"
    report = verify.verify(
        [Target.parse(url) for url in cluster.base_urls],
        Credentials(tokens.ADMINISTRATOR, root),
        verify.Options(
            accounting=True, job=verify.JobOptions() if full else None, idle_clients=IDLE_CLIENTS if full else 0
        ),
        job_credentials=Credentials(inventory.ORDINARY_USER, ordinary),
        key=key,
        read_output=lambda path: take_file(engine, cluster, path),
    )
    cluster.verify = report.as_dict()
    cluster.api_versions = list(report.api_versions)
    if not all(check.ok or (check.ok is None and not full) for check in report.checks):
        raise ClusterFailedError(f"the verification did not prove everything\n{render_table(report)}")


def signing_key(engine: Engine, cluster: Cluster) -> Key:
    """Read the key that signs the cluster's tokens; it stays in this process."""
    encoded = engine.execute(cluster.controller.container, "base64", JWT_KEY)
    return Key(base64.b64decode(encoded))


def take_file(engine: Engine, cluster: Cluster, path: str) -> str:
    """Read and remove a file that a job left on one of the compute nodes.

    Raises:
        FileNotFoundError: none of them has it.
    """
    for node in cluster.nodes:
        if "slurmd" in node.roles:
            done = engine.run("exec", node.container, "sh", "-c", 'cat -- "$1" && rm -- "$1"', "sh", path)
            if done.returncode == 0:
                return done.stdout
    raise FileNotFoundError(errno.ENOENT, "no compute node has it", path)


def tell_job_apart(timings: dict[str, float], report: dict[str, Any] | None) -> dict[str, float]:
    """Return the seconds of the phases with those of the test job, which waits for its scheduler, on their own."""
    job = sum(check["seconds"] for check in (report or {"checks": []})["checks"] if check["id"].startswith("job"))
    if "verify" not in timings:
        return timings
    return {**timings, "verify": round(timings["verify"] - job, 2), "job": round(job, 2)}
