#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Ask slurmctld for tokens (entry file; used by the verify action, which keeps the answer in memory)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_token
short_description: Short-lived tokens from C(scontrol token)
description:
  - Returns tokens of the named users. Run it as root or SlurmUser on a host with C(scontrol), and never register its
    result; the action M(slurmrest.toolkit.slurmrestd_verify) is its caller.
options:
  users: {description: Login names., type: list, elements: str, required: true}
  lifespan: {description: Seconds until the tokens expire., type: int, default: 300}
  slurm_conf:
    description: Path of slurm.conf of the cluster that is meant; without it the one that Slurm was built for.
    type: path
  prefix: {description: "Where Slurm is installed, for its programs.", type: path}
  controllers:
    description:
      - What slurm.conf says of several controllers, as the facts have it (C(slurmctld_hosts) and so on). While none of
        them is in charge, the module says so at once and does not ask C(scontrol), which would wait.
    type: dict
  starting:
    description: Whether a slurmctld that was started a moment ago, or whose host was, is waited for.
    type: bool
    default: false
attributes:
  check_mode: {support: full, description: Changes nothing.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Mint a token
  slurmrest.toolkit.slurm_token:
    users: [root]
  no_log: true
"""

RETURN = r"""
tokens: {description: Token by user., returned: success, type: dict}
standing: {description: "Who is in charge, where none is.", returned: failure, type: dict}
"""

from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.auth.starting import token_of
from ..module_utils.slurmrest.auth.token_line import demanded
from ..module_utils.slurmrest.slurm import controllers
from ..module_utils.slurmrest.slurm.commands import TOKEN_SECONDS, Slurm

SEVERAL_SECONDS = 10.0
"""That scontrol gets where a takeover may begin while it asks: without one it takes a moment."""


def run(module: AnsibleModule) -> dict[str, Any]:
    """Ask for the tokens; SlurmrestError where one is not to be had."""
    slurm = Slurm(module.params["slurm_conf"] or "", module.params["prefix"] or "")
    several = module.params["controllers"]
    standing = controllers.look(several) if several else None
    if standing and standing.kind in controllers.WAITING:
        module.fail_json(msg=str(standing), standing=standing.as_dict())
    limit = SEVERAL_SECONDS if standing else TOKEN_SECONDS
    tokens = {}
    for user in module.params["users"]:
        words = ("token", f"username={user}", "lifespan={}".format(module.params["lifespan"]))
        ask = partial(slurm.ask, "scontrol", *words, limit=limit)
        tokens[user] = token_of(ask) if module.params["starting"] else demanded(ask())
    return {"tokens": tokens}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "users": {"type": "list", "elements": "str", "required": True},
            "lifespan": {"type": "int", "default": 300},
            "slurm_conf": {"type": "path"},
            "prefix": {"type": "path"},
            "controllers": {"type": "dict"},
            "starting": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: run(module))


if __name__ == "__main__":
    main()
