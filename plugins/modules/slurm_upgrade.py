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
    installed, or is about to be, means for the REST host that it runs on. Changes nothing, and does not fail for what
    it finds.
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
from ..module_utils.slurmrest.errors import SlurmrestError
from ..module_utils.slurmrest.facts.detection import detect
from ..module_utils.slurmrest.host.reading import UnsafePath, read_site
from ..module_utils.slurmrest.upgrade.judge import Case, report
from ..module_utils.slurmrest.upgrade.look import look


def _text(path: str) -> str:
    try:
        return read_site(path).decode("utf-8", "surrogateescape")
    except (OSError, UnsafePath):
        return ""


def run(parameters: dict[str, Any]) -> dict[str, Any]:
    """Look, or judge; SlurmrestError for a release or an acceptance that is not known."""
    if parameters["looks"] is None:
        return {"look": look(parameters)}
    facts = detect(
        {
            "account": parameters["variables"].get("slurm_common_slurmrestd_user"),
            "slurmrestd": parameters["slurmrestd"],
            "slurm_conf": parameters["slurm_conf"],
            "instance": parameters["instance"],
        }
    )
    if not facts["version"]:
        raise SlurmrestError("There is no Slurm on this host.", "Run playbooks/deploy.yml to have slurmrestd.")
    texts = {path: _text(path) for path in facts["unit"]["dropins"]}
    case = Case(parameters["host"], facts, parameters["looks"], parameters["variables"], texts)
    return {"report": report(case, parameters["accept"]).as_dict()}


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
        },
        required_together=[("looks", "host")],
        supports_check_mode=True,
    )
    finish(module, lambda: run(module.params))


if __name__ == "__main__":
    main()
