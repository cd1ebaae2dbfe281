#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Make or place a key (entry file; see module_utils/slurmrest/transaction/key_place.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: shared_key_change
short_description: Make or place a key where shared_key has found it to be done
description:
  - For M(slurmrest.toolkit.shared_key), which looks first and says what is meant. It takes along what is known of
    Slurm's daemons, which the look does not need.
extends_documentation_fragment: [slurmrest.toolkit.key, slurmrest.toolkit.restart_columns]
attributes:
  check_mode: {support: full, description: Compares and writes nothing.}
  diff_mode: {support: full, description: Never shows the key.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Have a key, whatever is there
  slurmrest.toolkit.shared_key_change:
    path: /var/lib/slurm/jwt/jwt_hs256.key
    owner: slurm
    group: slurm
"""

RETURN = r"""
replaced: {description: Whether another key was there before., returned: success, type: bool}
restarted: {description: Units that were restarted., returned: success, type: list, elements: str}
"""

import contextlib
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.host.lock import host_lock
from ..module_utils.slurmrest.transaction.baseline import Baseline
from ..module_utils.slurmrest.transaction.key_place import ARGUMENTS, placing
from ..module_utils.slurmrest.transaction.restart_columns import ARGUMENT
from ..module_utils.slurmrest.transaction.restart_wiring import judges
from ..module_utils.slurmrest.transaction.transaction import Transaction


def place(wanted: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Have the key in its place; with ``fetch`` its content is in the result.

    Several hosts may ask the source for the key at the same time, so the decision to make one is taken under a lock.
    """
    name = os.path.basename(wanted["path"])
    with contextlib.nullcontext() if check else host_lock(name=f"lock-{name}"):
        found = placing(wanted, check=check)
        origin = Baseline() if wanted["remember"] else None
        known = judges(wanted["columns"])
        outcome = Transaction(**found.transaction, origin=origin, judges=known).apply(check=check)
    return found.result(outcome, fetch=wanted["fetch"])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={**ARGUMENTS, **ARGUMENT}, supports_check_mode=True)
    finish(module, lambda: place(module.params, check=module.check_mode))


if __name__ == "__main__":
    main()
