#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""The logins of a gateway: what they need (entry file; see module_utils/slurmrest/gateway/judge_logins.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gateway_logins
short_description: Have the programs of a gateway's logins, or judge what they need
description:
  - C(judge) refuses a host without a key, a key that the cluster does not take, and what the variables name and the
    host does not have. It asks slurmrestd with a token of the account nobody, and changes nothing.
  - C(secret) has the secret in O(path) where the identity service reads it, or none.
  - C(programs) writes the programs of logins and the one that counts requests, each of one file.
options:
  step: {description: What to do., type: str, required: true, choices: [judge, secret, programs]}
  account: {description: "For C(secret): the account of the identity service.", type: str}
  path: {description: "For C(secret): the file that holds it; none where it is empty.", type: str, default: ""}
  variables: {description: "For C(judge): the variables of role slurmrest_gateway by name.", type: dict, default: {}}
  threads:
    description: "For C(judge): how many threads each slurmrestd has, 0 where nobody said."
    type: list
    elements: int
    default: []
  programs:
    description: "For C(programs): paths by the name of the program, C(login), C(pam) and C(counters)."
    type: dict
    default: {}
attributes:
  check_mode: {support: full, description: "Compares, asks, and writes nothing."}
  diff_mode: {support: none, description: Keys and programs are not shown.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Have the secret that the provider knows
  slurmrest.toolkit.gateway_logins:
    step: secret
    account: slurmrest-identity
    path: /etc/slurmrest/oidc-secret
"""

RETURN = r"""
python: {description: The interpreter for the programs., returned: step programs, type: str}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.gateway import counters  # noqa: F401 - Ansible brings what is imported, for the program
from ..module_utils.slurmrest.gateway.judge_logins import judge_logins
from ..module_utils.slurmrest.gateway.programs import have_programs
from ..module_utils.slurmrest.gateway.settings import settle
from ..module_utils.slurmrest.gateway.signing import have_secret
from ..module_utils.slurmrest.login import pam, service  # noqa: F401 - Ansible brings what is imported, for the programs


def run(parameters: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Do one step; SlurmrestError for what is refused."""
    if parameters["step"] == "programs":
        return have_programs(parameters["programs"], check=check)
    if parameters["step"] == "secret":
        return {"changed": have_secret(parameters["path"], parameters["account"], check=check)}
    judge_logins(settle(parameters["variables"], parameters["threads"]))
    return {}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "step": {"type": "str", "required": True, "choices": ["judge", "secret", "programs"]},
            "account": {"type": "str"},
            "path": {"type": "str", "default": ""},
            "variables": {"type": "dict", "default": {}},
            "threads": {"type": "list", "elements": "int", "default": []},
            "programs": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: run(module.params, check=module.check_mode))


if __name__ == "__main__":
    main()
