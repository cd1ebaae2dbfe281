"""Slurm's programs on a host, told which cluster is meant.

Without SLURM_CONF they read what they were built for; the login's SLURM_CONF, SLURM_CLUSTERS and the like never reach
them (:mod:`..host.programs`). Where the path of the site's configuration is known, it is stated.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..host import programs
from ..host.programs import Done, Run

SECONDS = 120.0
"""Seconds for a program of Slurm, which tries for long."""

TOKEN_SECONDS = 60.0

RECONFIGURE = ("scontrol", "reconfigure")


def stated(conf: str, prefix: str, *words: str) -> tuple[str, ...]:
    """A command that may travel: it says which Slurm is meant, or without ``conf`` none."""
    first = f"{prefix}/bin:{prefix}/sbin:" if prefix else ""
    return ("env", f"PATH={first}{programs.PATH}", *([f"SLURM_CONF={conf}"] if conf else []), *words)


@dataclass(frozen=True)
class Slurm:
    """The programs of one installation, for one configuration.

    ``conf`` is the path of slurm.conf. Where neither it nor slurmdbd.conf is there (a configless host), nothing is
    stated: Slurm looks for itself. ``prefix`` is where Slurm is installed; programs are looked for there first.
    """

    conf: str = ""
    prefix: str = ""
    run: Run = programs.run

    @classmethod
    def of(cls, facts: Mapping[str, Any], run: Run = programs.run) -> Slurm:
        """Those that the facts of a host tell of."""
        return cls(str(facts["slurm_conf"]["path"]), str(facts["prefix"] or ""), run)

    def argv(self, program: str, *words: str) -> tuple[str, ...]:
        """The whole command: a probe, or what a unit is told instead of a restart."""
        beside = posixpath.join(posixpath.dirname(self.conf), "slurmdbd.conf")
        known = self.conf and any(map(os.path.exists, (self.conf, beside)))
        return stated(self.conf if known else "", self.prefix, program, *words)

    def find(self, program: str) -> str | None:
        """The path of a program; None where there is none."""
        return programs.find(program, [f"{self.prefix}/bin", f"{self.prefix}/sbin"] if self.prefix else [])

    def ask(self, program: str, *words: str, limit: float = SECONDS) -> Done[str]:
        """As :func:`..host.programs.run`."""
        return self.run(self.argv(program, *words), limit=limit)
