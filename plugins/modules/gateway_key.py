#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""The key of a gateway (entry file; see module_utils/slurmrest/gateway/signing.py and replacement.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gateway_key
short_description: Have the key that signs the tokens of a gateway's logins, or one step of replacing it
description:
  - C(have) has the key, for O(account) alone to read.
  - C(look) says how far a replacement is, and refuses a gateway that does not sign with its key.
  - C(begin) makes the next key, unless one waits already or a former one is left.
  - C(judge) refuses where slurmctld does not take the next key. It asks with a token of the account nobody.
  - C(switch) has the next key sign; where the identity service does not, the former one comes back.
  - C(back) has the key that signed before, and no next one.
  - C(withdraw) says which keys controllers are to know once the former one is not to count any more.
  - C(forget) removes the former key, once slurmctld refuses it and takes the one that signs.
options:
  step:
    description: What to do.
    type: str
    required: true
    choices: [have, look, begin, judge, switch, back, withdraw, forget]
  account: {description: "For C(have) and C(begin): the account of the identity service.", type: str}
  hosts:
    description: "For C(judge) and C(forget): where slurmrestd is asked, as C(host:port) or C(unix:/path)."
    type: list
    elements: str
    default: []
  switched: {description: "For C(back): whether C(switch) of this run did something.", type: bool, default: false}
attributes:
  check_mode: {support: full, description: "Looks, asks, and writes nothing; only C(have), C(look) and C(begin)."}
  diff_mode: {support: none, description: Keys are not shown.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Have the key that signs tokens
  slurmrest.toolkit.gateway_key:
    step: have
    account: slurmrest-identity
"""

RETURN = r"""
document:
  description: The public halves of the keys as a set of keys; empty where there is none yet.
  returned: steps have, begin, back and withdraw
  type: str
kid: {description: The name of the key that signs., returned: step look, type: str}
left:
  description: "Seconds for which the last token of the former key is good, or of the one that still signs would be."
  returned: step look
  type: int
waits: {description: Whether a next key waits., returned: step look, type: bool}
former: {description: Whether a former key is left., returned: step look, type: bool}
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.gateway import replacement, signing


def run(parameters: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Do one step; SlurmrestError for what is refused."""
    account, hosts = parameters["account"], parameters["hosts"]
    steps: dict[str, Any] = {
        "have": lambda: asdict(signing.have_key(account, check=check)),
        "look": lambda: asdict(replacement.look()),
        "begin": lambda: asdict(replacement.begin(account, check=check)),
        "judge": lambda: replacement.judge_next(hosts),
        "switch": lambda: {"changed": replacement.switch()},
        "back": lambda: asdict(replacement.back(switched=parameters["switched"])),
        "withdraw": lambda: asdict(replacement.withdrawn()),
        "forget": lambda: {"changed": replacement.forget(hosts)},
    }
    return steps[parameters["step"]]() or {}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "step": {
                "type": "str",
                "required": True,
                "choices": ["have", "look", "begin", "judge", "switch", "back", "withdraw", "forget"],
            },
            "account": {"type": "str"},
            "hosts": {"type": "list", "elements": "str", "default": []},
            "switched": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: run(module.params, check=module.check_mode))


if __name__ == "__main__":
    main()
