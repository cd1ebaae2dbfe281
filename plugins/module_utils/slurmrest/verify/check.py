"""What a check is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from ..rest.session import Outcome, Session


@dataclass(frozen=True)
class Check:
    """One thing to prove; `run` raises Failed or ClientError, or returns what it found.

    `needs_api`: it asks below /slurm/<version>. `needs_token`: it proves nothing while slurm-diag fails, and is skipped
    then. `every_listener`: it is done on each target. `minor`: the daemon is of use even when it fails.
    """

    id: str
    title: str
    run: Callable[[Session], Outcome]
    needs_api: bool = True
    needs_token: bool = False
    every_listener: bool = False
    minor: bool = False
