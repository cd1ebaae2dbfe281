"""Slurm's programs on a host, told which cluster is meant.

Without SLURM_CONF they read what they were built for; the login's SLURM_CONF, SLURM_CLUSTERS and the like never reach
them (:mod:`..host.programs`). Where the configuration of the site is known by its path, that is stated.
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
"""Seconds that a program of Slurm gets: it tries for long."""

TOKEN_SECONDS = 60.0

RECONFIGURE = ("scontrol", "reconfigure")


@dataclass(frozen=True)
class Slurm:
    """The programs of one installation, for one configuration.

    ``conf`` is the path of slurm.conf. Where neither that nor slurmdbd.conf is there (a configless host), nothing is
    stated, and Slurm looks for itself. ``prefix`` is where Slurm is installed; programs are looked for there first.
    """

    conf: str = ""
    prefix: str = ""
    run: Run = programs.run

    @classmethod
    def of(cls, facts: Mapping[str, Any], run: Run = programs.run) -> Slurm:
        """Those that the facts of a host tell of."""
        return cls(str(facts["slurm_conf"]["path"]), str(facts["prefix"] or ""), run)

    def argv(self, program: str, *words: str) -> tuple[str, ...]:
        """The whole command, which may travel: as a probe, or as what a unit is told instead of a restart."""
        stated = (f"SLURM_CONF={self.conf}",) if self._known() else ()
        return ("env", *stated, self.find(program) or program, *words)

    def _known(self) -> bool:
        """Whether there is a configuration; slurmdbd and what reads its file need no slurm.conf."""
        beside = posixpath.join(posixpath.dirname(self.conf), "slurmdbd.conf")
        return bool(self.conf) and any(map(os.path.exists, (self.conf, beside)))

    def find(self, program: str) -> str | None:
        """The path of a program; None where it is not on this host."""
        return programs.find(program, [f"{self.prefix}/bin", f"{self.prefix}/sbin"] if self.prefix else [])

    def ask(self, program: str, *words: str, limit: float = SECONDS) -> Done[str]:
        """As :func:`..host.programs.run`."""
        return self.run(self.argv(program, *words), limit=limit)
