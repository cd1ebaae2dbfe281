#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""A gateway judged on its host, and its configuration tried (entry file; see module_utils/slurmrest/gateway)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurmrest_gateway
short_description: Judge a gateway against its host, and have nginx try its configuration before it goes live
description:
  - C(judge) refuses variables that nginx.conf cannot take or that would not be sound, and a certificate, port, nginx or
    socket of the host that does not go with them. It returns what is known of the host's nginx.
  - C(trial) has nginx read its whole configuration with O(content) in the place of the gateway's file. Before, it makes
    the O(logs) that are missing, for nginx and the group of its logs; it changes nothing else.
options:
  step: {description: What to do., type: str, required: true, choices: [judge, trial]}
  variables: {description: "For C(judge): the role's variables by name.", type: dict, default: {}}
  threads:
    description: "For C(judge): how many threads each slurmrestd has, 0 where nobody said."
    type: list
    elements: int
    default: []
  content: {description: "For C(trial): the text of the gateway's file.", type: str, default: ""}
  logs: {description: "For C(trial): paths of the gateway's logs.", type: list, elements: str, default: []}
attributes:
  check_mode: {support: full, description: "Judges; tries nothing, since nginx makes the files that it logs to."}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Have nginx try it
  slurmrest.toolkit.slurmrest_gateway:
    step: trial
    content: "{{ lookup('slurmrest.toolkit.rendered', 'gateway.conf.j2') }}"
"""

RETURN = r"""
counters_left: {description: Whether the host has the unit that counts requests., returned: step judge, type: bool}
log_group: {description: The group that may read the logs., returned: step trial, type: str}
logins_left:
  description: Whether the host has a key that signs tokens of logins.
  returned: step judge
  type: bool
nginx:
  description: Version, account, group, path of the gateway's file and number of workers; null where there is no nginx.
  returned: step judge
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.gateway.judge import judge, log_group
from ..module_utils.slurmrest.gateway.nginx import demand
from ..module_utils.slurmrest.gateway.settings import settle
from ..module_utils.slurmrest.gateway.trial import have_logs, trial


def run(parameters: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Do one step; SlurmrestError for what is refused."""
    if parameters["step"] == "judge":
        return judge(settle(parameters["variables"], parameters["threads"]))
    if check:
        return {}
    nginx = demand()
    # Before nginx does, which would make them for everybody to read.
    group = log_group()
    changed = have_logs(parameters["logs"], nginx.user, group)
    trial(nginx, parameters["content"])
    return {"changed": changed, "log_group": group}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "step": {"type": "str", "required": True, "choices": ["judge", "trial"]},
            "variables": {"type": "dict", "default": {}},
            "threads": {"type": "list", "elements": "int", "default": []},
            "content": {"type": "str", "default": ""},
            "logs": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: run(module.params, check=module.check_mode))


if __name__ == "__main__":
    main()
