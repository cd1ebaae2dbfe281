#!/usr/bin/env python3
"""Token, submit and job for users, from a bare clone: Python 3.9 or later, no packages. See --help, docs/users.md."""

import sys
from pathlib import Path

if sys.version_info < (3, 9):  # noqa: UP036 - what else would say so
    sys.exit("This needs Python 3.9 or later; this is %d.%d." % sys.version_info[:2])  # noqa: UP031

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugins" / "module_utils"))

from slurmrest.users.command import main

sys.exit(main())
