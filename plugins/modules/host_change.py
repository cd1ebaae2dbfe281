#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Do what a transaction has to do (entry file; see slurmrest/transaction/transaction.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_change
short_description: Do what host_transaction has found to be done
description:
  - For M(slurmrest.toolkit.host_transaction), which looks first and says what is meant. It takes along what is known of
    Slurm's daemons, which the look does not need.
extends_documentation_fragment: [slurmrest.toolkit.transaction, slurmrest.toolkit.restart_columns]
attributes:
  check_mode: {support: full, description: Compares and writes nothing.}
  diff_mode: {support: full, description: Shows every change but secrets.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Write a file, whatever is there
  slurmrest.toolkit.host_change:
    name: example
    files:
      - path: /etc/example
        content: text
"""

RETURN = r"""
changed_paths: {description: Files and directories that changed., returned: success, type: list, elements: str}
restarted: {description: Units that were restarted., returned: success, type: list, elements: str}
started: {description: Units that were started., returned: success, type: list, elements: str}
recovered: {description: Files that a killed run had left half-way., returned: success, type: list, elements: str}
seconds: {description: Duration., returned: success, type: float}
rolled_back: {description: Files that came back to their previous text., returned: failure, type: list, elements: str}
"""

from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.transaction.asking import probe_error
from ..module_utils.slurmrest.transaction.baseline import Baseline
from ..module_utils.slurmrest.transaction.entry import ARGUMENTS, result, wanted
from ..module_utils.slurmrest.transaction.probes import KINDS
from ..module_utils.slurmrest.transaction.restart_columns import ARGUMENT
from ..module_utils.slurmrest.transaction.restart_wiring import judges
from ..module_utils.slurmrest.transaction.transaction import Transaction


def run(module: AnsibleModule) -> dict[str, Any]:
    """Apply it; SlurmrestError when it cannot be done."""
    origin = Baseline() if module.params["remember"] else None
    known = replace(judges(module.params["columns"]), ask=probe_error, kinds=KINDS)
    outcome = Transaction(**wanted(module.params), judges=known, origin=origin).apply(check=module.check_mode)
    if outcome.recovered:
        module.warn("An earlier run was killed half-way; undone first: {}".format(", ".join(outcome.recovered)))
    return result(outcome)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={**ARGUMENTS, **ARGUMENT}, supports_check_mode=True)
    finish(module, lambda: run(module))


if __name__ == "__main__":
    main()
