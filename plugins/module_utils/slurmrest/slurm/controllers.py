"""Several controllers of one cluster: which of them is in charge, and what is going on where none is.

Whoever is in charge writes the time and its place among the controllers into ``heartbeat`` of StateSaveLocation, a few
times within SlurmctldTimeout (heartbeat.c, two 64-bit numbers in network order). That and whether each of them takes
connections is known at once; ``scontrol`` itself waits, during a takeover half of SlurmctldTimeout and longer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..host.network import connect
from .daemons import SLURMCTLD_TIMEOUT
from .heartbeat import Connect, Heartbeat, see

TAKE_BACK_SECONDS = 31
"""About what it takes Slurm until a primary that starts has the cluster back from its backup (measured)."""

NORMAL, DEGRADED, TAKEOVER, TAKE_BACK, DOWN, UNKNOWN = "normal", "degraded", "takeover", "take-back", "down", "unknown"
"""All answer; some do not; the one in charge is gone; an earlier one starts again; none answers; no heartbeat."""

WAITING = (TAKEOVER, TAKE_BACK, DOWN)
"""What a request waits in, or is answered badly."""


@dataclass(frozen=True)
class Standing:
    """Who is in charge. ``hosts`` are all controllers in the order of slurm.conf, ``silent`` those without slurmctld.

    ``age`` is that of the heartbeat in seconds, ``timeout`` SlurmctldTimeout.
    """

    kind: str
    hosts: tuple[str, ...]
    silent: tuple[str, ...] = ()
    leader: str = ""
    age: float = 0.0
    timeout: int = SLURMCTLD_TIMEOUT

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Standing:
        """From what :meth:`as_dict` gave."""
        return cls(**{**data, "hosts": tuple(data["hosts"]), "silent": tuple(data["silent"])})

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)

    @property
    def next(self) -> str:
        """The first controller that answers and is not in charge, or an empty string."""
        return next((host for host in self.hosts if host not in (self.leader, *self.silent)), "")

    def __str__(self) -> str:
        silent = ", ".join(self.silent)
        if self.kind == TAKEOVER:
            since = f"the last heartbeat of {self.leader} is {self.age:.0f} s old, SlurmctldTimeout {self.timeout} s"
            left = self.timeout - self.age
            when = f"in about {left:.0f} s" if left > 0 else "any moment"
            return f"{self.leader} is gone and {self.next} takes over from it {when} ({since}); until then all wait"
        if self.kind == TAKE_BACK:
            return (
                f"{self.next} has started and takes the cluster back from {self.leader}, for about {TAKE_BACK_SECONDS} "
                "s nothing is answered"
            )
        if self.kind == DOWN:
            return f"slurmctld answers on none of {', '.join(self.hosts)}"
        if self.kind == DEGRADED:
            return f"{self.leader} is in charge, and slurmctld does not answer on {silent}"
        if self.kind == NORMAL:
            return f"{self.leader} is in charge"
        return "there is no heartbeat of a controller in StateSaveLocation, so nobody knows who is in charge"


def serving(names: Sequence[str], running: Mapping[str, bool]) -> str:
    """Who leads a run over these controllers: the first that runs slurmctld, else the first that was looked at.

    Args:
        names: all of them, the primary first.
        running: of those that were looked at whether slurmctld runs there.
    """
    looked = [name for name in names if name in running]
    return next((name for name in looked if running[name]), (looked or list(names) or [""])[0])


def judge(
    hosts: Sequence[str], silent: Sequence[str], heartbeat: Heartbeat | None, now: float, timeout: int
) -> Standing:
    """Who is in charge of these controllers, given which of them do not answer. Pure."""
    names, without = tuple(hosts), tuple(host for host in hosts if host in silent)
    if len(without) == len(names):
        return Standing(DOWN, names, without, timeout=timeout)
    if heartbeat is None or heartbeat.index >= len(names):
        return Standing(UNKNOWN, names, without, timeout=timeout)
    leader, age = names[heartbeat.index], max(0.0, now - heartbeat.written)
    if leader in without:
        kind = TAKEOVER
    elif any(host not in without for host in names[: heartbeat.index]):
        kind = TAKE_BACK  # a controller before it has no business but to take the cluster back
    else:
        kind = DEGRADED if without else NORMAL
    return Standing(kind, names, without, leader, round(age, 1), timeout)


def look(conf: Mapping[str, Any], reach: Connect = connect) -> Standing | None:
    """Who is in charge, seen from a controller; None where the cluster has only one.

    Args:
        conf: facts of slurm.conf (:func:`..facts.conf.slurm_conf_facts`).
        reach: tells whether a port of a host takes connections.
    """
    seen = see(conf, reach)
    return standing(seen, time.time()) if seen else None


def standing(seen: Mapping[str, Any], now: float) -> Standing:
    """The same of what :func:`.heartbeat.see` found at that time of that host. Pure."""
    heartbeat = Heartbeat(*seen["heartbeat"]) if seen["heartbeat"] else None
    return judge(seen["hosts"], seen["silent"], heartbeat, now, seen["timeout"])
