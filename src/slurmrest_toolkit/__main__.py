"""Run the command line: ``python -m slurmrest_toolkit``."""

from __future__ import annotations

import sys

from slurmrest_toolkit.command.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
