"""The check of how long answers take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..rest.session import Outcome, Session
from .check import Check

P99_SAMPLES = 200  # a 99th percentile of fewer is no more than the second worst


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
        half = len(ordered) // 2
        middle = (ordered[half] + ordered[-half - 1]) / 2
        return cls(len(ordered), ordered[0], middle, ordered[-1], p99)

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


CHECKS: tuple[Check, ...] = (Check("latency", "diag is answered again and again", latency, needs_token=True),)
