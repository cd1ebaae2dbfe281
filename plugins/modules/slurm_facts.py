#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Facts about the Slurm installed on a host (entry file; the knowledge is in module_utils/slurmrest/facts/host.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_facts
short_description: What Slurm is installed here, and which unit runs its slurmrestd
description:
  - Reads the installed binaries, packages, plugins, configuration files, units and the service account.
  - Changes nothing. The action plugin of the same name has M(slurmrest.toolkit.slurm_patience) wait for slurmdbd and
    slurmctld of this host where they were only just started, and looks again then. The row of the release table for the
    installed version comes along as C(release).
extends_documentation_fragment:
  - slurmrest.toolkit.slurm_conf
options:
  account:
    description: Service account to look up.
    type: str
    default: slurmrestd
  slurmrestd:
    description: Path of the C(slurmrestd) binary, where it is not at a usual place.
    type: path
  instance:
    description: That of C(slurmrestd@INSTANCE.service), where several serve on this host.
    type: str
    default: ""
  paths:
    description: Further paths whose owner and mode are wanted.
    type: list
    elements: path
    default: []
  groups:
    description: Groups whose numbers are wanted.
    type: list
    elements: str
    default: []
  columns:
    description: Of the release table what decides how a configuration is read. The action plugin says it.
    type: list
    elements: list
    default: []
attributes:
  check_mode: {support: full, description: Reads only.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Know the installed Slurm
  slurmrest.toolkit.slurm_facts:
"""

RETURN = r"""
ansible_facts:
  description: The facts, under the key C(slurmrest).
  returned: always
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.facts.host import look


def run(module: AnsibleModule) -> dict[str, Any]:
    """Look at the host; InputError for a parameter that is refused."""
    return {"ansible_facts": {"slurmrest": look(module.params, module.params["columns"])}}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "account": {"type": "str", "default": "slurmrestd"},
            "slurmrestd": {"type": "path"},
            "slurm_conf": {"type": "path"},
            "instance": {"type": "str", "default": ""},
            "paths": {"type": "list", "elements": "path", "default": []},
            "groups": {"type": "list", "elements": "str", "default": []},
            "columns": {"type": "list", "elements": "list", "default": []},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: run(module))


if __name__ == "__main__":
    main()
