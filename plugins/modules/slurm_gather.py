#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Gather what a deployment is judged by (entry file; see module_utils/slurmrest/doctor/evidence.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_gather
short_description: Evidence of a host for M(slurmrest.toolkit.slurm_doctor)
description:
  - Looks at units, processes, keys, configurations, sockets, disks and logs. Changes nothing. What comes back holds
    neither tokens nor keys.
  - The action plugin of the same name notes the time, by which clocks are compared, takes a host that cannot be
    reached for evidence, not for an error, hands the evidence over as a text, and adds the row of the release table
    to the facts.
extends_documentation_fragment:
  - slurmrest.toolkit.gather
  - slurmrest.toolkit.slurm_conf
  - slurmrest.toolkit.instance
options:
  request:
    description: "A client's request, as for M(slurmrest.toolkit.slurm_ask); its users are looked up, too."
    type: dict
  quick:
    description:
      - What a deployment is judged by, without journals, and without waiting for units that are on their way. Otherwise
        the action plugin has M(slurmrest.toolkit.slurm_gather_whole) look.
    type: bool
    default: false
attributes:
  check_mode: {support: full, description: Reads only.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Look at the host
  slurmrest.toolkit.slurm_gather:
    roles: [slurmctld, slurmrestd]
  register: slurm_evidence
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

from ..module_utils.slurmrest.doctor.evidence import ARGUMENTS, gather, look
from ..module_utils.slurmrest.transaction.snapshot import sight


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "users": {"type": "list", "elements": "str", "default": []},
            "salt": {"type": "str", "no_log": True},
            "request": {"type": "dict"},
            "quick": {"type": "bool", "default": False},
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
