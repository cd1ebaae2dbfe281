"""What ``scontrol token`` prints."""

from __future__ import annotations

from ..errors import SlurmrestError
from ..host.programs import Done, named


def token_in(done: Done[str]) -> str:
    """The token; empty where there is none."""
    name, _equals, value = done.stdout.strip().partition("=")
    return value if done.returncode == 0 and name == "SLURM_JWT" else ""


def demanded(done: Done[str]) -> str:
    """The token, or SlurmrestError with the program's errors: its output may hold a token."""
    token = token_in(done)
    if not token:
        raise SlurmrestError(f"{named(done.args)}: {done.stderr.strip() or 'no token was printed'}")
    return token
