#!/usr/bin/env python3
"""Verify a slurmrestd from a bare clone: Python 3.9 or later, no packages. See --help and docs/verify.md."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugins" / "module_utils"))

from slurmrest.verify.command import main

sys.exit(main())
