"""Exit codes of the command line, and what a program is told with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

OK, FAILED, CANNOT_RUN, INTERRUPTED = 0, 1, 2, 130

EPILOG = f"""\
exit codes:
  {OK}    done
  {FAILED}    it was tried and failed; the message says where
  {CANNOT_RUN}    it cannot run: bad arguments, or something is missing on this host
  {INTERRUPTED}  interrupted
  shell passes on the exit code of what it ran.

A cluster is known under its name; where there is only one, --name can be left out.
"""


def ended(options: argparse.Namespace, code: int, phase: str, message: str, remedy: str | None = None) -> int:
    """Return the exit code, and tell a program that wants JSON why there is nothing else."""
    if getattr(options, "json", False):
        error = {"exit_code": code, "phase": phase or None, "message": message, "remedy": remedy}
        print(json.dumps({"error": error}, indent=2))
    return code
