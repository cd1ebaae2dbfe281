"""What an upgrade is judged by, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..slurm.releases import Release, lookup
from ..slurm.version import Version


@dataclass(frozen=True)
class Consequence:
    """One thing that the site should know. ``id`` is what it is accepted by."""

    id: str
    what: str
    consequence: str
    remedy: str
    blocking: bool = False

    def lines(self) -> list[str]:
        """For people."""
        mark = "STOP" if self.blocking else "note"
        return [f"{mark}  {self.id}: {self.what}", f"      {self.consequence}", f"      -> {self.remedy}"]


@dataclass(frozen=True)
class Case:
    """What is judged: one REST host among all hosts of its cluster."""

    host: str
    facts: Mapping[str, Any]  # of detect, on the REST host
    looks: Mapping[str, Mapping[str, Any]]  # of upgrade_look, by host
    variables: Mapping[str, Any] = field(default_factory=dict)  # of the roles, as for preflight
    texts: Mapping[str, str] = field(default_factory=dict)  # of the site's drop-ins

    @property
    def own(self) -> Mapping[str, Any]:
        """What was seen on the host itself."""
        return self.looks[self.host]

    @property
    def target(self) -> Version:
        """The version that slurmrestd will have."""
        return Version.parse(after(self.own, "slurmrestd") or self.facts["version"])

    @property
    def before(self) -> Version | None:
        """The version that it had, as far as somebody knows."""
        now = self.own["versions"].get("slurmrestd")
        if self.own["candidates"].get("slurmrestd") and now:
            return Version.parse(now)
        return Version.parse(self.own["upgraded_from"]) if self.own.get("upgraded_from") else None

    @property
    def row(self) -> Release:
        """The release table's row of the target."""
        return lookup(str(self.target)).release

    @property
    def installed(self) -> bool:
        """Whether the target is on the host already: then its files are better evidence than the table."""
        return "slurmrestd" not in self.own["candidates"]

    def daemons(self, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The hosts that run a daemon."""
        return ((host, look) for host, look in self.looks.items() if name in look["components"])


def after(look: Mapping[str, Any], daemon: str) -> str | None:
    """The version of a daemon after the packages were upgraded."""
    version: str | None = look["candidates"].get(daemon) or look["versions"].get(daemon)
    return version
