"""What rules see and what they say: hosts with their evidence, rules, and signs that a cause is there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable

from ..redaction import CONTROL
from ..slurm.ending import SYSTEMD, ending
from ..slurm.releases import Release, lookup

RESTART_LOOP_STARTS = 3
RESTART_LOOP_SECONDS = 120.0
"""That many restarts, the last one within that time: the unit goes round in circles."""

PATIENCE = 5.0
YOUNG_SECONDS = 20.0
"""Daemons younger than this, on whatever host, are given the rest of it to find each other."""


@dataclass(frozen=True)
class Sign:
    """A cause seen on one host. ``explains`` replaces what its rule says in general."""

    host: str
    cause: str
    evidence: Sequence[str]
    remedy: str
    explains: Sequence[str] | None = None
    ended: Sequence[str] = ()  # how the daemon ended that this sign is about, from cause to consequence


@dataclass(frozen=True)
class Rule:
    """One cause: how to see it, and which other rules merely see its consequences.

    Where a daemon ended with words, only a rule whose ``fatals`` (a pattern) are among them is the reason.
    """

    id: str
    title: str
    documentation: str  # page and section of Slurm's (or another) documentation
    look: Callable[[Cluster], Iterable[Sign]] = field(repr=False)
    explains: Sequence[str] = ()
    anywhere: bool = False  # causes on other hosts explain it, too
    passing: bool = False  # a cluster that has just started may show it for some seconds
    fatals: str = ""  # how daemons end because of it; empty where none says a word
    preflight: bool = False  # a deployment does not mend it, and would break over it
    by_hand: str = ""  # why there is nothing to type where its remedy has nothing in backquotes (see :mod:`remedies`)


@dataclass(frozen=True)
class Host:
    """Evidence of one host, as ``gather`` gives it."""

    name: str
    evidence: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.evidence[name]

    @property
    def facts(self) -> Mapping[str, Any]:
        """What ``detect`` found."""
        found: Mapping[str, Any] = self.evidence["facts"]
        return found

    @property
    def roles(self) -> Sequence[str]:
        """Which daemons the host is there for."""
        found: Sequence[str] = self.evidence["roles"]
        return found

    @property
    def release(self) -> Release | None:
        """The row of the release table for the Slurm installed here."""
        version = self.facts["version"]
        return lookup(version).release if version and not self.facts["release_error"] else None

    @property
    def unit(self) -> Mapping[str, Any]:
        """The effective unit of slurmrestd."""
        found: Mapping[str, Any] = self.facts["unit"]
        return found

    @property
    def http(self) -> Mapping[str, Any]:
        """What slurmrestd answered; empty where it was not asked."""
        found: Mapping[str, Any] = self.evidence.get("http") or {}
        return found

    @property
    def expected(self) -> Sequence[str]:
        """Listeners that clients rely on, as the inventory says; before a deployment those that there shall be."""
        found: Sequence[str] = self.evidence["expected"]
        return found

    @property
    def planned(self) -> bool:
        """Whether the same run, in check mode, would have made the cluster before."""
        return bool(self.evidence.get("planned"))

    @property
    def rest_unit(self) -> str:
        """What systemctl calls slurmrestd here: ``slurmrestd@CLUSTER`` where several serve."""
        return str(self.evidence.get("service") or "slurmrestd")

    def service(self, daemon: str) -> str:
        """What systemctl calls a daemon here."""
        return self.rest_unit if daemon == "slurmrestd" else daemon

    def state(self, daemon: str) -> str:
        """Of a daemon: running, looping, failed, stopped, skipped (by a condition), refused (by systemd), absent."""
        fields = self.evidence["units"].get(daemon)
        if not self.facts["systemd"]:
            return "running"  # nobody here can tell otherwise; what it answers will
        if fields is None:
            return "absent"
        if fields["load"] != "loaded":
            return "refused"
        if fields["sub"] == "auto-restart" or self._loops(daemon):
            return "looping"
        if fields["active"] in ("active", "activating", "reloading"):
            return "running"
        if fields["active"] == "failed" or fields["result"] not in ("", "success"):
            return "failed"
        return "stopped" if fields["condition"] else "skipped"

    def _loops(self, daemon: str) -> bool:
        if self.evidence["units"][daemon]["restarts"] < RESTART_LOOP_STARTS:
            return False
        restarts = [line for line in self.journal(daemon) if "restart counter is at" in line["text"]]
        return len([line for line in restarts if line["age"] < RESTART_LOOP_SECONDS]) >= RESTART_LOOP_STARTS

    def masked(self, unit: str) -> bool:
        """Whether a link to /dev/null stands in place of a unit."""
        return (self.evidence["units"].get(unit) or {}).get("load") == "masked"

    def down(self, daemon: str) -> bool:
        """Whether a daemon that should be there does not run."""
        return self.state(daemon) != "running"

    @property
    def awaited(self) -> Iterator[str]:
        """The daemons that have to run here: those that the host is there for, and what is enabled beside them."""
        yield from self.roles
        yield from (name for name, fields in self.evidence["units"].items() if fields["enabled"])

    def journal(self, daemon: str) -> Sequence[Mapping[str, Any]]:
        """Lines that tell of trouble, oldest first."""
        found: Sequence[Mapping[str, Any]] = self.evidence["journal"].get(daemon) or ()
        return found

    def said(self, daemon: str, pattern: str, runs: int = 2) -> list[str]:
        """What a daemon said in its last runs that matches, latest first, ready to be quoted."""
        lines = [
            line["text"] for line in self.journal(daemon) if line["run"] < runs and re.search(pattern, line["text"])
        ]
        lines = lines or [line for line in self.evidence["logs"].get(daemon) or () if re.search(pattern, line)]
        return [f"journal of {self.service(daemon)}: {text}" for text in dict.fromkeys(reversed(lines))]

    def ended(self, daemon: str) -> list[str]:
        """How the latest run of a daemon ended, from cause to consequence; empty where it said nothing of it."""
        for run in range(2 if self.state(daemon) == "looping" else 1):
            found = ending([line["text"] for line in self.journal(daemon) if line["run"] == run])
            if found:
                return found
        logged = list(self.evidence["logs"].get(daemon) or ())
        found = ending(logged)
        return found if found and found[-1] == logged[-1] else []

    def words(self, daemon: str) -> list[str]:
        """The words with which a daemon ended, the most telling first; without an end of its own at most three."""
        ended = [f"journal of {self.service(daemon)}: {text}" for text in dict.fromkeys(self.ended(daemon))]
        runs = 1 if self.state(daemon) == "failed" else 2  # what the run before it said is no reason
        own = rf"^(?!{SYSTEMD})"
        telling = (r"fatal", r"error", own, _SYSTEMD_ENDED_IT, r".")
        found = [text for words in telling for text in self.said(daemon, words, runs)]
        return ended or list(dict.fromkeys(found))[:3]

    def entry(self, conf: str, key: str) -> tuple[str, str] | None:
        """Value and origin of the entry that counts in ``slurm_conf`` or ``slurmdbd_conf``."""
        content = self.evidence["confs"].get(conf)
        found = [item for item in content["entries"] if item["key"] == key.lower()] if content else []
        return (found[-1]["value"], found[-1]["origin"]) if found else None

    def line(self, conf: str, key: str) -> str:
        """The same as evidence: ``file:line: Key=Value``, or that there is none."""
        found = self.entry(conf, key)
        return f"{found[1]}: {key}={found[0]}" if found else f"{self.facts[conf]['path']} has no {key}"


_SYSTEMD_ENDED_IT = (
    r"reached runtime time limit|[Ww]atchdog timeout|timed out|oom-kill|OOM killer|code=(?:killed|dumped)"
    r"|Failed at step|status=2\d\d/[A-Z]"
)
"""Lines of systemd that say why a daemon ended, where others say only that it did (src/core/service.c)."""


def harmless(seen: Any) -> Any:
    """What was seen, without what a remedy means by backquotes, and without control characters.

    Names of processes, paths and words of logs are what other accounts say, and remedies are typed by root.
    """
    if isinstance(seen, str):
        return CONTROL.sub("?", seen).replace("`", "'")
    if isinstance(seen, Mapping):
        return {harmless(name): harmless(value) for name, value in seen.items()}
    if isinstance(seen, (list, tuple)):
        return type(seen)(map(harmless, seen)) if not hasattr(seen, "_fields") else type(seen)(*map(harmless, seen))
    return seen


@dataclass(frozen=True)
class Cluster:
    """All hosts; ``preflight``: looked at before a deployment, which changes most of what is there."""

    hosts: Sequence[Host]
    unreachable: Mapping[str, str] = field(default_factory=dict)
    preflight: bool = False

    @classmethod
    def of(cls, evidence: Mapping[str, Mapping[str, Any] | None], **more: Any) -> Cluster:
        """From evidence by host name; None where there is none."""
        return cls([Host(name, harmless(found)) for name, found in evidence.items() if found], **harmless(more))

    def role(self, daemon: str) -> list[Host]:
        """The hosts that are there for a daemon."""
        return [host for host in self.hosts if daemon in host.roles]

    @property
    def rest(self) -> list[Host]:
        """The REST hosts."""
        return self.role("slurmrestd")

    def each(self, *daemons: str) -> Iterator[tuple[Host, str]]:
        """Every daemon on every host that is there for it."""
        for host in self.hosts:
            for daemon in daemons:
                if daemon in host.roles:
                    yield host, daemon

    @property
    def patience(self) -> float:
        """Seconds that are worth waiting for a good answer: none where a daemon that it takes does not run."""
        if any(host.down(daemon) for host in self.hosts for daemon in host.awaited):
            return 0.0
        ages = [process["age"] for host in self.hosts for process in host["processes"].values()]
        return max(PATIENCE, YOUNG_SECONDS - min(ages, default=YOUNG_SECONDS))

    @property
    def version(self) -> str | None:
        """Slurm's version where slurmrestd is, else anywhere."""
        return next((host.facts["version"] for host in [*self.rest, *self.hosts] if host.facts["version"]), None)


CONFS = {"slurmctld": "slurm_conf", "slurmdbd": "slurmdbd_conf"}
"""Where each daemon's authentication is configured."""
