"""The checks of capacity: how long answers take, and whether idle clients keep others out."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from ..rest.causes import Cause
from ..rest.client import ClientError, open_idle
from ..rest.session import TOKEN, Failed, Outcome, Session

P99_SAMPLES = 200  # a 99th percentile of fewer is no more than the second worst
_IDLE_PATIENCE = 5.0  # seconds until a connection counts as not answered


@dataclass(frozen=True)
class Latency:
    """Seconds that answers took. `p99` is None below :data:`P99_SAMPLES` samples."""

    count: int
    low: float
    middle: float
    high: float
    p99: float | None

    @classmethod
    def of(cls, samples: Sequence[float]) -> Latency:
        """The figures of at least one sample."""
        ordered = sorted(samples)
        rank = math.ceil(0.99 * len(ordered)) - 1  # nearest rank
        p99 = ordered[rank] if len(ordered) >= P99_SAMPLES else None
        return cls(len(ordered), ordered[0], median(ordered), ordered[-1], p99)

    def __str__(self) -> str:
        p99 = "" if self.p99 is None else f", p99 {1000 * self.p99:.1f}"
        return (
            f"{self.count} answers of diag in min {1000 * self.low:.1f}, median {1000 * self.middle:.1f}{p99}, "
            f"max {1000 * self.high:.1f} ms"
        )


def latency(session: Session) -> Outcome:
    """Ask diag as often as was asked for, one request after the other; the answer of slurm-diag is the first sample."""
    session.good(session.url("diag"))
    samples = [session.waited]
    while len(samples) < session.options.samples:
        before = session.waited
        session.good(session.url("diag"), fresh=True)
        samples.append(session.waited - before)
    session.latency = tuple(samples)
    return Outcome(True, str(Latency.of(samples)))


def idle_clients(session: Session) -> Outcome:
    """Hold connections open that have had one answer each, and see whether another client is still served."""
    wanted = session.options.idle_clients
    if not wanted:
        return Outcome(None, "not asked for (--idle-clients N)")
    session.good(session.url("diag"))
    patience = min(session.options.timeout, _IDLE_PATIENCE)
    kept = 0
    with contextlib.ExitStack() as clients:
        for _client in range(wanted + 1):
            begin = time.monotonic()
            session.requests += 1
            try:
                connection = open_idle(
                    session.target,
                    session.url("diag"),
                    headers=session.headers(TOKEN),
                    timeout=patience,
                    context=session.context,
                )
            except ClientError as error:
                raise Failed(
                    f"the client after {kept} idle ones was not served: {error.message}", _limit(kept)
                ) from None
            clients.enter_context(contextlib.closing(connection))
            kept += connection.sock is not None
            session.waited = time.monotonic() - begin
    waited = session.waited
    _settle(session, patience)
    session.waited = waited
    if not kept:
        return Outcome(True, f"slurmrestd closes connections after an answer; none of {wanted} stayed idle")
    return Outcome(True, f"another client was answered in {1000 * session.waited:.0f} ms beside {wanted} idle ones")


def _settle(session: Session, patience: float) -> None:
    """Return when the daemon answers again: old releases drop a connection while they close many others."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with contextlib.suppress(ClientError):
            session.good(session.url("diag"), fresh=True)
            return


def _limit(kept: int) -> Cause:
    return Cause(
        "connection-limit",
        f"slurmrestd serves about {kept} connections at once, and idle ones count",
        "Raise --max-connections (SLURMRESTD_MAX_CONNECTIONS) where the release has it, and put a proxy in front that "
        "closes idle connections.",
    )
