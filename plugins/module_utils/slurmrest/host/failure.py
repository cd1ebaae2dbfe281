"""Programs that have to do what they are run for."""

from __future__ import annotations

from ..errors import SlurmrestError
from .programs import Done, named, words


class ProgramFailed(SlurmrestError):
    """A program did not do what it was run for, in its own words."""


def demand(done: Done[str]) -> str:
    """The output of a program. Raises ProgramFailed with its own words where it failed."""
    if done.returncode != 0:
        raise ProgramFailed(f"{named(done.args)}: {words(done)}")
    return str(done.stdout)
