#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Both ends of a service token (entry file; see module_utils/slurmrest/service_token/hosts.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_token
short_description: Prepare the hosts at both ends of a service token, and have it fetched
description:
  - C(judge) refuses variables that cannot work on the host that uses the token. C(keypair) makes the key by which that
    host asks, and returns its public half. C(controller) judges a controller, and returns its host keys. C(renew) has
    the installed unit fetch a token where there is no fresh one, by the program that C(program) wrote.
  - The token itself never passes through Ansible.
extends_documentation_fragment:
  - slurmrest.toolkit.slurm_conf
options:
  step:
    description: What to do.
    type: str
    required: true
    choices: [judge, keypair, controller, program, renew]
  variables: {description: "For C(judge): the role's variables by name.", type: dict, default: {}}
  account: {description: "For C(keypair): who fetches the token.", type: str, default: slurmrest-token}
  consumers:
    description: "For C(controller): C(name) of the host, C(user) and C(lifespan) of each token that is fetched."
    type: list
    elements: dict
    default: []
  members:
    description: "For C(controller): all hosts that use tokens; the keys of those that C(consumers) lacks are kept."
    type: list
    elements: str
    default: []
  slurm_user: {description: "For C(controller): SlurmUser.", type: str, default: slurm}
  program: {description: "For C(program): where the program that fetches is to be.", type: path}
  parameters:
    description: "For C(controller): AuthAltParameters of slurm.conf by name. Looked at by the action plugin."
    type: dict
    default: {}
  content:
    description: "For C(program): the program in base64. Made by the action plugin, which has all of its sources."
    type: str
  demand: {description: "For C(renew): also when the token in place is fresh.", type: bool, default: false}
attributes:
  check_mode: {support: full, description: Changes nothing.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Have a token in place
  slurmrest.toolkit.service_token:
    step: renew
"""

RETURN = r"""
public_key: {description: Type and key; empty in check mode while there is none., returned: step keypair, type: str}
host_keys: {description: Type and key of each host key., returned: step controller, type: list, elements: str}
port: {description: Where sshd listens., returned: step controller, type: int}
kept: {description: Lines of keys by account that were not looked at., returned: step controller, type: dict}
withdrawn: {description: Files of keys that nobody uses., returned: step controller, type: list, elements: str}
lifetime: {description: Seconds that the token in place lives., returned: step renew, type: int}
"""

import base64
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.service_token import hosts
from ..module_utils.slurmrest.transaction.baseline import Baseline
from ..module_utils.slurmrest.transaction.specs import FileSpec
from ..module_utils.slurmrest.transaction.transaction import Transaction


def run(wanted: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Do one step."""
    if wanted["step"] == "judge":
        hosts.refuse(hosts.consumer_problems(wanted["variables"]))
        return {"changed": False}
    if wanted["step"] == "keypair":
        made, public_key = hosts.key_pair(wanted["account"], check=check)
        return {"changed": made, "public_key": public_key}
    if wanted["step"] == "program":
        file = FileSpec(wanted["program"], base64.b64decode(wanted["content"]), mode=0o755, shown=False)
        outcome = Transaction("slurmrest_token-program", files=[file], origin=Baseline()).apply(check=check)
        return {"changed": outcome.changed, "diff": outcome.diff}
    if wanted["step"] == "renew":
        new, lifetime = hosts.renew_now(demand=wanted["demand"], check=check)
        return {"changed": new, "lifetime": lifetime}
    consumers = wanted["consumers"]
    users = [consumer["user"] for consumer in consumers]
    sshd = hosts.sshd_settings(users[0] if users else "root")
    hosts.refuse(hosts.controller_problems(consumers, wanted["slurm_user"], wanted["parameters"], sshd))
    seen = [consumer["name"] for consumer in consumers]
    kept = hosts.kept(name for name in wanted["members"] if name not in seen)
    return {
        "changed": False,
        "kept": kept,
        "host_keys": hosts.host_keys(sshd),
        "port": int(sshd.get("port", ["22"])[0]),
        "withdrawn": hosts.withdrawn([*users, *kept]),
        "warnings": list(filter(None, [hosts.labels_needed()])),
    }


def main() -> None:
    """Run the module."""
    steps = ["judge", "keypair", "controller", "program", "renew"]
    module = AnsibleModule(
        argument_spec={
            "step": {"type": "str", "required": True, "choices": steps},
            "variables": {"type": "dict", "default": {}},
            "account": {"type": "str", "default": "slurmrest-token"},
            "consumers": {"type": "list", "elements": "dict", "default": []},
            "members": {"type": "list", "elements": "str", "default": []},
            "slurm_user": {"type": "str", "default": "slurm"},
            "slurm_conf": {"type": "path"},
            "program": {"type": "path"},
            "parameters": {"type": "dict", "default": {}},
            "content": {"type": "str"},
            "demand": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
        required_if=[("step", "program", ("program", "content"))],
    )
    finish(module, lambda: run(module.params, check=module.check_mode))


if __name__ == "__main__":
    main()
