#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Which of two tokens is accepted, proven or sampled (entry file; see slurmrest/rotation/acceptance.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: token_watch
short_description: Prove over HTTP which token is accepted, and measure for how long none is
description:
  - Runs on a host of slurmrestd. M(slurmrest.toolkit.key_rotation) is its caller and keeps the tokens in memory.
  - C(start) proves that only the old token is accepted and leaves a process behind that samples both until C(stop);
    without one it ends by itself after five minutes.
options:
  step:
    description: What to do.
    type: str
    required: true
    choices: [start, prove-old, prove-new, stop]
  user: {description: Whose tokens these are., type: str, default: root}
  old: {description: A token of the key that is in force., type: str}
  new: {description: A token of the key that is to come., type: str}
  url: {description: The listener that is asked., type: str}
  unit: {description: The service., type: str, default: slurmrestd.service}
  account: {description: That of the service; empty for root., type: str, default: ""}
  accounting: {description: Whether there is a slurmdbd., type: bool, default: false}
  lame: {description: API versions that fail without one., type: list, elements: str, default: []}
attributes:
  check_mode: {support: full, description: Asks only.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: End the sampling
  slurmrest.toolkit.token_watch:
    step: stop
"""

RETURN = r"""
paths: {description: What was proven for each path., returned: "steps start, prove-old and prove-new", type: dict}
measurement: {description: "Seconds: gap by path, and changeover.", returned: step stop, type: dict}
"""

from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.auth.bearer import Token
from ..module_utils.slurmrest.rest.client import Credentials, Target
from ..module_utils.slurmrest.rotation.acceptance import NEW, OLD, Sampler, prove, routes
from ..module_utils.slurmrest.slurmrestd import strangers


def run(wanted: dict[str, Any]) -> dict[str, Any]:
    """Do one step."""
    if wanted["step"] == "stop":
        return {"measurement": Sampler().stop()}
    tokens = {name: Credentials(wanted["user"], Token(wanted[name])) for name in (OLD, NEW) if wanted[name]}
    good, bad = (NEW, OLD) if wanted["step"] == "prove-new" else (OLD, NEW)
    watch = strangers.watch(strangers.accounts_of(wanted["unit"], wanted["account"]))
    target = replace(Target.parse(wanted["url"] or ""), watch=watch)
    where = routes(target, tokens[good], accounting=wanted["accounting"], lame=wanted["lame"])
    found = prove(where, tokens[good], tokens.get(bad))
    if wanted["step"] == "start":
        Sampler().start(where, tokens)
    return {"paths": found}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "step": {"type": "str", "required": True, "choices": ["start", "prove-old", "prove-new", "stop"]},
            "user": {"type": "str", "default": "root"},
            "old": {"type": "str", "no_log": True},
            "new": {"type": "str", "no_log": True},
            "url": {"type": "str"},
            "unit": {"type": "str", "default": "slurmrestd.service"},
            "account": {"type": "str", "default": ""},
            "accounting": {"type": "bool", "default": False},
            "lame": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: run(module.params))


if __name__ == "__main__":
    main()
