#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""What another release means for the REST service (entry file; see module_utils/slurmrest/upgrade/judge.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_upgrade
short_description: Say what another release of Slurm means for the REST service, before anything is touched
description:
  - Without O(looks) it looks at one host. With the looks of all hosts of the cluster it judges what the release that is
    installed, or is about to be, means for the REST host that it runs on, which the action plugin does on the
    controller. Changes nothing, and does not fail for what it finds.
extends_documentation_fragment:
  - slurmrest.toolkit.slurm_conf
  - slurmrest.toolkit.instance
options:
  components: {description: Daemons that this host is there for., type: list, elements: str, default: []}
  packages: {description: Whether the packages of this host are about to be upgraded., type: bool, default: false}
  backups: {description: "Path of a backup by daemon (C(slurmdbd), C(slurmctld)).", type: dict, default: {}}
  slurmrestd: {description: "Path of C(slurmrestd), where it is not at a usual place.", type: path}
  looks: {description: What this module saw on each host., type: dict}
  host: {description: Inventory name of this host., type: str}
  variables: {description: The variables of the roles by name., type: dict, default: {}}
  columns:
    description: Of the release table what decides how a configuration is read. The action plugin says it.
    type: list
    elements: list
    default: []
  protocols:
    description: "Series of slurmctld by the number of its protocol. The action plugin says it."
    type: dict
    default: {}
  read: {description: Files to read instead. The action plugin says it., type: list, elements: path, default: []}
  accept: {description: Ids of findings that shall not stop the run., type: list, elements: str, default: []}
attributes:
  check_mode: {support: full, description: Reads only.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Look at the host
  slurmrest.toolkit.slurm_upgrade:
    components: [slurmctld]
  register: slurm_upgrade_look
"""

RETURN = r"""
look: {description: What was seen on the host., returned: without looks, type: dict}
report:
  description: Findings, the ids of those that are C(blocking), C(lines) for people, and the files to C(set_aside).
  returned: with looks
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.host.reading import UnsafePath, read_site
from ..module_utils.slurmrest.upgrade.look import look


def _text(path: str) -> str:
    try:
        return read_site(path).decode("utf-8", "surrogateescape")
    except (OSError, UnsafePath):
        return ""


def run(parameters: dict[str, Any]) -> dict[str, Any]:
    """Look, or read; SlurmrestError where apt cannot tell what it would do."""
    if parameters["read"]:
        return {"texts": {path: _text(path) for path in parameters["read"]}}
    return {"look": look(parameters)}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "components": {"type": "list", "elements": "str", "default": []},
            "packages": {"type": "bool", "default": False},
            "backups": {"type": "dict", "default": {}},
            "slurmrestd": {"type": "path"},
            "slurm_conf": {"type": "path"},
            "instance": {"type": "str"},
            "looks": {"type": "dict"},
            "host": {"type": "str"},
            "variables": {"type": "dict", "default": {}},
            "accept": {"type": "list", "elements": "str", "default": []},
            "columns": {"type": "list", "elements": "list", "default": []},
            "protocols": {"type": "dict", "default": {}},
            "read": {"type": "list", "elements": "path", "default": []},
        },
        required_together=[("looks", "host")],
        supports_check_mode=True,
    )
    finish(module, lambda: run(module.params))


if __name__ == "__main__":
    main()
