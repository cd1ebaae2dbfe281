#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Bring back what a host was like (entry file; see module_utils/slurmrest/transaction/restore.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_former
short_description: Bring back what host_origin remembers
description:
  - For M(slurmrest.toolkit.host_origin), which looks first and says what is meant. It takes along what is known of
    Slurm's daemons, which remembering does not need.
extends_documentation_fragment: [slurmrest.toolkit.restart_columns]
options:
  name: {description: Name of the role or transaction., type: str, required: true}
attributes:
  check_mode: {support: full, description: "Compares, and writes nothing."}
  diff_mode: {support: full, description: "Shows which files change, without their text."}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Bring back what a role changed
  slurmrest.toolkit.host_former:
    name: slurmrestd_user
"""

RETURN = r"""
changed_paths: {description: What changed., returned: success, type: list, elements: str}
packages: {description: Packages that were installed; they stay., returned: success, type: list, elements: str}
stopped: {description: Units that were stopped., returned: success, type: list, elements: str}
restarted: {description: Units that were restarted., returned: success, type: list, elements: str}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.slurm.version import Excerpt
from ..module_utils.slurmrest.transaction.baseline import Baseline
from ..module_utils.slurmrest.transaction.restart_columns import ARGUMENT
from ..module_utils.slurmrest.transaction.restart_wiring import judges
from ..module_utils.slurmrest.transaction.restore import bring_back


def run(name: str, table: Excerpt, *, check: bool) -> dict[str, Any]:
    """Bring it back; SlurmrestError when that cannot be done."""
    origin = Baseline()
    packages = sorted(origin.remembered(name).get("packages", {}))
    outcome = bring_back(origin, name, check=check, judges=judges(table))
    return {
        "changed": outcome.changed,
        "diff": outcome.diff,
        "changed_paths": outcome.changed_paths,
        "packages": packages,
        "stopped": outcome.stopped,
        "restarted": outcome.restarted,
        "warnings": outcome.unseen,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"name": {"type": "str", "required": True}, **ARGUMENT}, supports_check_mode=True
    )
    finish(module, lambda: run(module.params["name"], module.params["columns"], check=module.check_mode))


if __name__ == "__main__":
    main()
