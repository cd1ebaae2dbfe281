"""Reading what slurmrestd answers of jobs and nodes; as :mod:`.answers`, whatever comes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .answers import mapping, number, objects, text

TERMINAL_FAILURES = frozenset(
    [
        "BOOT_FAIL",
        "CANCELLED",
        "DEADLINE",
        "FAILED",
        "LAUNCH_FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "RECONFIG_FAIL",
        "REVOKED",
        "TIMEOUT",
    ]
)
COMPLETED = "COMPLETED"

NOBODY = 99
"""Slurm's own nobody: the uid of a user whom slurmctld does not know (slurm/slurm.h, SLURM_AUTH_NOBODY)."""


@dataclass(frozen=True)
class JobStatus:
    """The part of a job that says how it went. ``states`` is the state and its flags, upper case."""

    states: tuple[str, ...]
    reason: str
    exit_code: int | None
    user: str
    user_id: int | None = None

    def __str__(self) -> str:
        words = [" ".join(self.states) or "in no known state"]
        if self.exit_code:
            words.append(f"exit code {self.exit_code}")
        if self.reason not in ("", "None"):
            words.append(self.reason)
        return ", ".join(words)

    @property
    def completed(self) -> bool:
        """Ran to its end and said 0."""
        return COMPLETED in self.states

    @property
    def of_nobody(self) -> bool:
        """Whether slurmctld did not know the user, and took the job for nobody."""
        return self.user_id == NOBODY

    @property
    def failed(self) -> bool:
        """Ended in any other way."""
        return not TERMINAL_FAILURES.isdisjoint(self.states)


def nodes(payload: Any) -> list[tuple[str, tuple[str, ...]]]:
    """The nodes of an answer: name, and state with its flags."""
    return [
        (text(node.get("name")) or "?", states_of(node.get("state")) + states_of(node.get("state_flags")))
        for node in objects(mapping(payload).get("nodes"))
    ]


def states_of(value: Any) -> tuple[str, ...]:
    """A state as upper-case words: a string in old API versions, a list of state and flags in newer ones."""
    words: Iterable[Any] = value if isinstance(value, list) else [value]
    return tuple(word.upper() for word in words if isinstance(word, str))


def job_status(payload: Any) -> JobStatus:
    """The first job of an answer to ``/job/<id>``."""
    job = next(iter(objects(mapping(payload).get("jobs"))), {})
    return JobStatus(
        states_of(job.get("job_state")),
        text(job.get("state_reason")),
        _exit_code(job.get("exit_code")),
        text(job.get("user_name")),
        number(job.get("user_id")),
    )


def _exit_code(value: Any) -> int | None:
    """Old API versions give the status of wait(2), newer ones the exit code."""
    if isinstance(value, dict):
        return number(value.get("return_code"))
    status = number(value)
    return None if status is None else status >> 8
