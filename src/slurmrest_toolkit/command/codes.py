"""Exit codes of the command line."""

from __future__ import annotations

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
