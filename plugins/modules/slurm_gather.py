#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Gather what a doctor wants to see of a host (entry file; see module_utils/slurmrest/doctor/evidence.py)."""

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
  - slurmrest.toolkit.slurm_conf
  - slurmrest.toolkit.instance
options:
  account: {description: Service account of slurmrestd., type: str, default: slurmrestd}
  slurmrestd: {description: "Path of the C(slurmrestd) binary, where it is not at a usual place.", type: path}
  roles:
    description: "What this host is there for, among slurmctld, slurmdbd and slurmrestd; by default what is enabled."
    type: list
    elements: str
    default: []
  listen: {description: Where clients expect slurmrestd., type: list, elements: str, default: []}
  users: {description: Users to look up., type: list, elements: str, default: []}
  request:
    description: "A client's request, as for M(slurmrest.toolkit.slurm_ask); its users are looked up, too."
    type: dict
  quick:
    description: Without journals, and without waiting for units that are on their way.
    type: bool
    default: false
  salt:
    description: "Random text, the same for all hosts of a run: keys are compared by it without being shown."
    type: str
  columns:
    description: Of the release table what decides how a configuration is read. The action plugin says it.
    type: list
    elements: list
    default: []
  groups: {description: Names of groups to look up., type: list, elements: str, default: []}
  keep_facts:
    description:
      - Whether to set the facts of M(slurmrest.toolkit.slurm_facts), too, with O(groups) and the UNIX sockets of
        O(listen) among them.
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

from ..module_utils.slurmrest.doctor.evidence import gather, look
from ..module_utils.slurmrest.transaction.sight import sight


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "account": {"type": "str", "default": "slurmrestd"},
            "slurmrestd": {"type": "path"},
            "slurm_conf": {"type": "path"},
            "instance": {"type": "str"},
            "roles": {"type": "list", "elements": "str", "default": []},
            "listen": {"type": "list", "elements": "str", "default": []},
            "quick": {"type": "bool", "default": False},
            "request": {"type": "dict"},
            "users": {"type": "list", "elements": "str", "default": []},
            "salt": {"type": "str", "no_log": True},
            "columns": {"type": "list", "elements": "list", "default": []},
            "groups": {"type": "list", "elements": "str", "default": []},
            "keep_facts": {"type": "bool", "default": False},
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
