#!/usr/bin/env python3
"""Token, submit and job for users, from a bare clone: Python 3.9 or later, no packages. See --help, docs/users.md."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugins" / "module_utils"))

from slurmrest.users.command import main

sys.exit(main())
