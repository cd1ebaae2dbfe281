#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Look at this host and prove its slurmrestd (entry file; see module_utils/slurmrest/verify/look_and_prove.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurmrestd_verify_unseen
short_description: Look at the host, then ask slurmrestd over every listener
description:
  - What M(slurmrest.toolkit.slurmrestd_verify) does, for its action plugin, where nobody has looked at the host yet. It
    takes more files along.
extends_documentation_fragment:
  - slurmrest.toolkit.instance
  - slurmrest.toolkit.verification
  - slurmrest.toolkit.proof
options:
  known:
    description: Of the release table what this host has to know.
    type: dict
    required: true
  lifespan:
    description: Seconds of the token that is made here, where this host is the controller; 0 makes none.
    type: int
    default: 0
  scontrol:
    description: Whether tokens that C(scontrol) makes are good; by default as slurm.conf has it.
    type: bool
  urls: {description: Listeners to ask; those of the unit by default., type: list, elements: str, default: []}
  accounting: {description: "Whether there is a slurmdbd; taken from slurm.conf by default.", type: bool}
attributes:
  check_mode: {support: full, description: "Changes nothing, and asks nobody where slurmrestd does not run."}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Look, and prove that slurmrestd works
  slurmrest.toolkit.slurmrestd_verify_unseen:
    known: "{{ known }}"
    lifespan: 600
"""

RETURN = r"""
facts: {description: What was seen of the host., returned: always, type: dict}
record: {description: What was found., returned: when asked, type: dict}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.verify.look_and_prove import looked_and_proven
from ..module_utils.slurmrest.verify.proof import ARGUMENTS


def run(module: AnsibleModule) -> dict[str, Any]:
    """Look and ask; SlurmrestError where nothing could be asked. The action plugin judges it."""
    return looked_and_proven(module.params, check_mode=module.check_mode)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "known": {"type": "dict", "required": True},
            "lifespan": {"type": "int", "default": 0},
            "scontrol": {"type": "bool"},
            "instance": {"type": "str"},
            "urls": {"type": "list", "elements": "str", "default": []},
            "accounting": {"type": "bool"},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: run(module))


if __name__ == "__main__":
    main()
