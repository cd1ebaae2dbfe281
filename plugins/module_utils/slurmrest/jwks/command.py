"""The command that the timer of role slurm_jwks runs: refresh this host's key set once, and say what was done."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence

from ..errors import SlurmrestError
from ..redaction import redacted
from .refresh import alone, refresh
from .settings import RefreshSettings


def main(argv: Sequence[str]) -> int:
    """Return 0 when the set is what the issuers publish; else 1, and the former set stays."""
    parser = argparse.ArgumentParser(prog="slurmrest-jwks", description=__doc__)
    parser.add_argument("settings", help="what to have: the file that the role has written")
    parser.add_argument("--check", action="store_true", help="change nothing; say whether the set would change")
    arguments = parser.parse_args(argv)
    try:
        with contextlib.nullcontext() if arguments.check else alone():
            done = refresh(RefreshSettings.load(arguments.settings), check=arguments.check)
    except SlurmrestError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for line in (*done.keys.dropped, *done.outcome.unseen):
        sys.stderr.write(f"{redacted(line)}\n")
    names = ", ".join(key.kid for key in done.keys.keys)
    by = ", ".join(done.outcome.restarted)
    what = "as before"
    if done.outcome.changed and arguments.check:
        what = "would change" + (f", for {by} to load" if by else "")
    elif done.outcome.changed:
        what = "changed" + (f"; loaded by {by}" if by else "")
    sys.stdout.write(f"{what}: {names}\n")
    return 0
