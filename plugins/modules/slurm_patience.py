#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Wait for daemons that were only just started (entry file; see module_utils/slurmrest/facts/patience.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_patience
short_description: Wait for slurmdbd and slurmctld of a host that were only just started
description:
  - For M(slurmrest.toolkit.slurm_facts) and M(slurmrest.toolkit.slurm_gather), whose action plugins have it run where
    their facts say that one of these daemons began to start less than three minutes ago. Changes nothing.
options:
  facts:
    description: C(units), C(slurm_conf), C(slurmdbd_conf) and C(prefix) of the facts.
    type: dict
    required: true
attributes:
  check_mode: {support: full, description: Reads only.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Wait for them
  slurmrest.toolkit.slurm_patience:
    facts: "{{ ansible_facts['slurmrest'] }}"
"""

RETURN = r"""
waited: {description: "Whether that took a while, so that facts may be others by now.", returned: success, type: bool}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.facts.patience import wait


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={"facts": {"type": "dict", "required": True}}, supports_check_mode=True)
    finish(module, lambda: {"waited": wait(module.params["facts"])})


if __name__ == "__main__":
    main()
