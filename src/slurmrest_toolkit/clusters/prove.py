"""The verification of a cluster from this host, with a job."""

from __future__ import annotations

import base64
import errno
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from slurmrest.auth.jwt import Key
from slurmrest.rest.client import Credentials, Target
from slurmrest.rest.session import Outcome
from slurmrest.slurm.releases import lookup
from slurmrest.verify import run as verify
from slurmrest.verify.check import Check
from slurmrest.verify.table import render_table

from slurmrest_toolkit.clusters import tokens
from slurmrest_toolkit.images.warm import JWT_KEY
from slurmrest_toolkit.nodes import inventory
from slurmrest_toolkit.support.errors import ClusterFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from slurmrest.auth.bearer import Token
    from slurmrest.rest.session import Session
    from slurmrest.verify.run import Report

    from slurmrest_toolkit.clusters.state import Cluster
    from slurmrest_toolkit.containers.engine import Engine

IDLE_CLIENTS = 8
"""Connections held open while another client must be served: a few of the least that a daemon allows."""

VERSIONS = "api-versions"
FIRST = (VERSIONS, "slurm-diag")
JOBS = ("job", "job-output", "job-cancel", "idle-clients")
"""Checks that wait for a job, after which no other client may be disturbed; ``FIRST`` are those that they build on."""

LEVELS = ("full", "quick", "none")
"""How a cluster is proven: with a job and clients that hold connections, by requests alone, or by answering at all."""


def prove(engine: Engine, cluster: Cluster, made: Sequence[Token], key: Key, level: str = LEVELS[0]) -> float:
    """Verify the cluster from this host over its published port, with a job of the ordinary user.

    Args:
        engine: the container engine.
        cluster: the cluster.
        made: tokens of ``tokens.USERS``.
        key: the key that signs tokens, for those that must be refused.
        level: one of :data:`LEVELS`.

    Returns:
        The seconds for which jobs were waited for, when everything else was proven.

    Raises:
        ClusterFailedError: a check failed or was skipped, for here everything can be proven; with the report.
    """
    root, ordinary = made
    if level == "none":  # it has answered before
        cluster.api_versions = list(lookup(cluster.slurm_version).release.api_versions)
        return 0.0
    full = level == "full"
    options = verify.Options(
        accounting=True, job=verify.JobOptions() if full else None, idle_clients=IDLE_CLIENTS if full else 0
    )

    def ask(checks: Sequence[Check]) -> Report:
        return verify.verify(
            [Target.parse(url) for url in cluster.base_urls],
            Credentials(tokens.ADMINISTRATOR, root),
            options,
            job_credentials=Credentials(inventory.ORDINARY_USER, ordinary),
            key=key,
            read_output=lambda path: take_file(engine, cluster, path),
            checks=checks,
        )

    newest = lookup(cluster.slurm_version).release.newest_api
    report, waited = both(ask, newest) if full else (ask(verify.CHECKS), 0.0)
    cluster.verify = verify.as_dict(report)
    cluster.api_versions = list(report.api_versions)
    if not all(check.ok or (check.ok is None and not full) for check in report.checks):
        raise ClusterFailedError(f"the verification did not prove everything\n{render_table(report)}")
    return waited


def both(ask: Callable[[Sequence[Check]], Report], newest: str) -> tuple[Report, float]:
    """Ask for the checks with jobs, which wait for slurmctld's scheduler, beside all others.

    Args:
        ask: does checks, in their order.
        newest: the API version that jobs are submitted with. slurmrestd is asked once only which ones it serves: the
            document costs it tens of MiB, and for two clients at once twice as many.

    Returns:
        One report of all, and the seconds for which the jobs alone were waited for.
    """

    def assume(session: Session) -> Outcome:
        session.api_version = newest
        return Outcome(ok=True, detail=newest)

    known = {check.id: check for check in verify.CHECKS} | {VERSIONS: Check(VERSIONS, "", assume, needs_api=False)}
    beside = ThreadPoolExecutor(max_workers=1)
    try:
        jobs = beside.submit(ask, [known[name] for name in (*FIRST, *JOBS)])
        others = ask([check for check in verify.CHECKS if check.id not in JOBS])
        begin = time.monotonic()
        found = jobs.result()
    finally:
        # After an error the nodes are removed next, and a job that is still followed then ends with its connection.
        beside.shutdown(wait=False, cancel_futures=True)
    waited = time.monotonic() - begin
    results = (*others.checks, *(result for result in found.checks if result.id in JOBS))
    return replace(others, checks=results, warnings=tuple(dict.fromkeys((*others.warnings, *found.warnings)))), waited


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


def tell_job_apart(timings: dict[str, float], waited: float) -> dict[str, float]:
    """Return the seconds of the phases, with those for which jobs alone were waited for on their own."""
    if "verify" not in timings:
        return timings
    return {**timings, "verify": round(timings["verify"] - waited, 2), "job": round(waited, 2)}
