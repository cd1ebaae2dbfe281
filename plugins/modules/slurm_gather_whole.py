#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Gather all that a doctor wants to see of a host (entry file; see module_utils/slurmrest/doctor/thorough.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_gather_whole
short_description: All evidence of a host for M(slurmrest.toolkit.slurm_doctor)
description:
  - For M(slurmrest.toolkit.slurm_gather), which says what is meant. It takes along what a quick look does not need.
extends_documentation_fragment:
  - slurmrest.toolkit.gather
  - slurmrest.toolkit.slurm_conf
  - slurmrest.toolkit.instance
attributes:
  check_mode: {support: full, description: Reads only.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Look at the host
  slurmrest.toolkit.slurm_gather_whole:
    roles: [slurmctld, slurmrestd]
"""

RETURN = r"""
evidence: {description: "What was seen, as JSON.", returned: success, type: str}
keys: {description: What was seen of the JWT keys; a part of it., returned: success, type: dict}
ansible_facts: {description: The facts under the key C(slurmrest)., returned: with keep_facts, type: dict}
sight:
  description: How the files that the roles write are, by which M(slurmrest.toolkit.host_transaction) can tell.
  returned: with keep_facts
  type: dict
seconds: {description: Duration., returned: success, type: float}
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.doctor.evidence import ARGUMENTS, look
from ..module_utils.slurmrest.doctor.thorough import gather
from ..module_utils.slurmrest.transaction.snapshot import sight


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "users": {"type": "list", "elements": "str", "default": []},
            "salt": {"type": "str", "no_log": True},
        },
        supports_check_mode=True,
    )
    begin = time.monotonic()
    facts = look(module.params) if module.params["keep_facts"] else None
    evidence = gather(module.params, facts)
    result = {"ansible_facts": {"slurmrest": facts}, "sight": sight(facts, evidence["service"])} if facts else {}
    module.exit_json(changed=False, evidence=evidence, seconds=round(time.monotonic() - begin, 3), **result)


if __name__ == "__main__":
    main()
