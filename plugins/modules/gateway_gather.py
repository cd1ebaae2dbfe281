#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Gather what a doctor wants to see of a gateway (entry file; see module_utils/slurmrest/doctor/gateway.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gateway_gather
short_description: Evidence of a gateway for M(slurmrest.toolkit.slurm_doctor)
description:
  - Looks at nginx, its certificate, limits and directories, the way to slurmrestd, and the identity service; on
    controllers at the names of the keys that they load. Changes nothing.
  - Asks the gateway without credentials, and slurmctld with a token of the account nobody. What comes back holds
    neither tokens nor keys.
options:
  evidence:
    description:
      - Name under which M(slurmrest.toolkit.slurm_gather) was registered (read by the action plugin). A host that could
        not be looked at is not asked.
    type: str
    required: true
  jwks: {description: The set of keys that daemons of this host load; given by the action plugin., type: path}
attributes:
  check_mode: {support: full, description: Reads only.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Look at the gateway
  slurmrest.toolkit.gateway_gather:
    evidence: slurm_evidence
  register: slurm_gateways
"""

RETURN = r"""
gateway: {description: "What was seen; nothing where there is no gateway.", returned: success, type: dict}
taken: {description: "The names of the keys in the set; nothing without one.", returned: success, type: dict}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.doctor.gateway import kids, look


def main() -> None:
    """Run the module."""
    spec = {"evidence": {"type": "str", "required": True}, "jwks": {"type": "path"}}
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    finish(module, lambda: {"gateway": look(), "taken": kids(module.params["jwks"] or "")})


if __name__ == "__main__":
    main()
