"""Which hosts a later play of a run leaves out, since the run has seen of them that nothing is left to do.

A host that is left out gets nothing, and no word is said of it. So whatever is not known counts as left to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .snapshot_comparison import SECONDS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

ACCEPTING = frozenset({"slurmctld", "slurmdbd"})
"""Groups of the hosts whose daemons accept tokens: they have their turn before the REST hosts."""

CONTROLLERS = ("slurm_jwks", "slurm_jwt_key", "slurm_conf")
REST = ("slurm_packages", "slurmrestd_user", "slurm_conf", "slurmrestd_service")
"""The roles of these turns, in their order (playbooks/tasks/controllers.yml and rest.yml)."""

KEYS = "slurmrest_gateway"
"""The role that comes before both turns, on other hosts: it may make a key, which every slurm.conf then names."""


@dataclass(frozen=True)
class Remembered:
    """What a run knows of a host. Digests are those of its facts, and empty where there are none.

    Attributes:
        now: of the facts as they are now.
        looked: of the facts by which it was looked at (:mod:`.snapshot`).
        at: when it was looked at, in seconds since the epoch.
        settled: of the facts by which a transaction has seen that nothing is left to do.
    """

    now: str = ""
    looked: str = ""
    at: float = 0.0
    settled: str = ""

    def same(self) -> bool:
        """Whether it is as it was when it was looked at, as far as this run knows."""
        return bool(self.now) and self.looked == self.now

    def done(self, clock: float) -> bool:
        """Whether it needs nothing: that was seen, not too long ago, and its facts are the same since."""
        return self.same() and self.settled == self.now and 0 <= clock - self.at <= SECONDS


def unsettled(
    hosts: Sequence[str],
    known: Mapping[str, Remembered],
    clock: float,
    behind: Iterable[str] = (),
    *,
    together: bool = False,
) -> list[str]:
    """Return the hosts on which something may be left to do, in their order.

    Args:
        hosts: those of a play.
        known: what the run knows of these and of those behind, by host.
        clock: now, in seconds since the epoch.
        behind: hosts on whose facts it depends, too, what was seen of the others.
        together: whether none is left out where one cannot be.
    """
    nothing = Remembered()
    left = [host for host in hosts if not known.get(host, nothing).done(clock)]
    if (together and left) or not all(known.get(host, nothing).same() for host in behind):
        return list(hosts)
    return left


def conf_suffices(done: Mapping[str, bool], how: str, state: str, groups: Collection[str]) -> bool:
    """Return whether a host whose files are right needs nothing of the other roles that come before or with them.

    Args:
        done: by role, whether nothing is left for it to do on this host.
        how: what role slurm_conf does with the files; only those that it writes whole were compared with what was seen.
        state: ``present``, or ``absent`` where they are to lose what was merged into them.
        groups: those of the host.
    """
    beside = CONTROLLERS if ACCEPTING.intersection(groups) else ()
    return how == "whole" and state == "present" and _done(done, (KEYS, *beside), "slurm_conf")


def service_suffices(done: Mapping[str, bool], groups: Collection[str]) -> bool:
    """Return whether a REST host whose service is right needs nothing of the other roles of its turn.

    ``done`` and ``groups`` as for :func:`conf_suffices`. A host that also accepts tokens had its files in that turn.
    """
    elsewhere = ("slurm_conf",) if ACCEPTING.intersection(groups) else ()
    return _done(done, REST, "slurmrestd_service", *elsewhere)


def key_right(keys: Mapping[str, Mapping[str, Any]], path: str, reader: str) -> bool:
    """Return whether the HS256 key was seen to be as it shall be.

    Args:
        keys: by daemon, what was seen of the key that it loads (:mod:`..doctor.evidence`).
        path: where the key shall be.
        reader: the account of the daemons, which has to be able to read it.
    """
    there = {"path": path, "reader": reader, "exists": True, "readable": True, "rotating": False}
    right = {**there, "error": None, "problems": [], "directory_problems": []}
    return any(all(name in key and key[name] == value for name, value in right.items()) for key in keys.values())


def _done(done: Mapping[str, bool], roles: Sequence[str], *but: str) -> bool:
    """Whether nothing is left for these roles but some; a role of which nothing is known has something left."""
    return all(done.get(role) is True for role in roles if role not in but)
