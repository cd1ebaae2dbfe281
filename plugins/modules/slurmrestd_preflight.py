#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Refuse what cannot work before anything changes (entry file; see module_utils/slurmrest/slurmrestd/preflight.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurmrestd_preflight
short_description: Check the wanted slurmrestd against the host it shall run on
description:
  - Compares the variables of the roles with what is on the host and fails with one message for each problem, naming the
    variable, its value and what is allowed. Changes nothing.
  - The action plugin of the same name judges on the controller where the facts of M(slurmrest.toolkit.slurm_facts) are
    all that is needed; otherwise this module looks at the host once more.
options:
  variables:
    description: The variables to judge, by name.
    type: dict
    required: true
  slurmrestd:
    description: Path of the C(slurmrestd) binary, where it is not at a usual place.
    type: path
  slurm_conf:
    description: Path of slurm.conf, where it is not at a usual place.
    type: path
  instance:
    description: That of C(slurmrestd@INSTANCE.service), where several serve on this host.
    type: str
    default: ""
  set_aside:
    description: Files of the site that are about to be set aside, and so no problem.
    type: list
    elements: str
    default: []
  installed:
    description: Whether slurmrestd must be there by now.
    type: bool
    default: false
attributes:
  check_mode: {support: full, description: Reads only.}
author: slurmrest-toolkit contributors
"""

EXAMPLES = r"""
- name: Judge the listeners
  slurmrest.toolkit.slurmrestd_preflight:
    variables:
      slurmrestd_service_listen: ["127.0.0.1:6820"]
"""

RETURN = r"""
judged:
  description: The digest of the host's facts that were there (by the action plugin).
  returned: always
  type: str
problems:
  description: One text for each problem, empty where there is none.
  returned: always
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.facts.detection import detect
from ..module_utils.slurmrest.slurmrestd.preflight import groups_of_interest, paths_of_interest, verdict, without


def run(parameters: dict[str, Any]) -> dict[str, Any]:
    """Judge; InputError for a parameter that is refused."""
    variables = parameters["variables"]
    facts = detect(
        {
            "account": variables.get("slurm_common_slurmrestd_user", "slurmrestd"),
            "slurmrestd": parameters["slurmrestd"],
            "slurm_conf": parameters["slurm_conf"],
            "instance": parameters["instance"],
            "paths": paths_of_interest(variables),
            "groups": groups_of_interest(variables),
        }
    )
    return verdict(variables, without(facts, parameters["set_aside"]), installed=parameters["installed"])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "variables": {"type": "dict", "required": True},
            "slurmrestd": {"type": "path"},
            "slurm_conf": {"type": "path"},
            "instance": {"type": "str", "default": ""},
            "set_aside": {"type": "list", "elements": "str", "default": []},
            "installed": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: run(module.params))


if __name__ == "__main__":
    main()
