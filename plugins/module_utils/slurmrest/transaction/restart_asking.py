"""Who is asked before a restart, and what is not known since nobody answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..host import programs
from ..host.programs import MISSING
from ..slurm.daemons import DATABASE

if TYPE_CHECKING:
    from ..host.programs import Done
    from ..slurm.commands import Slurm

NOT_THERE = "it is not there"

_TELLS = {
    "scontrol": "what only its memory has",
    "squeue": "jobs that wait for nodes which are gone",
    "sacctmgr": "whether the accounting database knows its cluster by the same id",
    "ldd": "whether the libraries are there that it was started with",
}
"""What is not known without the answer of a program."""


class Asking:
    """Slurm's programs, those that came with the daemon first; ``silent``: who gave no answer, with the reason."""

    def __init__(self, slurm: Slurm) -> None:
        self.slurm = slurm
        self.silent: dict[str, str] = {}

    def __call__(self, program: str, *words: str) -> Done[str]:
        """Ask, as :meth:`..slurm.commands.Slurm.ask` does."""
        done = self.slurm.ask(program, *words)
        if done.returncode != 0:
            there = done.returncode != MISSING
            self.silent[program] = " ".join(programs.words(done).splitlines()[-1:]) if there else NOT_THERE
        return done

    def absent(self) -> list[str]:
        """Programs of Slurm that are not there."""
        return [program for program, why in self.silent.items() if why == NOT_THERE and program != "ldd"]

    def unseen(self, daemon: str) -> list[str]:
        """What nobody could look at, in words."""
        told = {**_TELLS, "sacctmgr": "whether its database lets it in"} if daemon == DATABASE else _TELLS
        return [
            f"Before a restart of {daemon} nobody could see {told[program]} ({program}: {why})."
            for program, why in self.silent.items()
        ]
