#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Look whether this host has the public keys of issuers (entry file; see module_utils/slurmrest/jwks/comparison.py).

What is to be done the action plugin of the same name has slurm_jwks_change do, which takes far more files along.
"""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_jwks
short_description: Have the public keys of issuers (JWKS) where slurmctld and slurmdbd read them
description:
  - Fetches the key sets, judges and normalises them, merges them, and writes the file of C(jwks=) where the keys
    changed. Daemons of this host that run on that file then load it; where one refuses, the former set returns.
  - Writes the program that does the same from a timer, and its settings, if asked to. The set and the settings are
    placed together, while no run of the timer goes on.
extends_documentation_fragment: [slurmrest.toolkit.jwks, slurmrest.toolkit.slurm_conf]
options:
  digest: {description: SHA-256 of the program for a timer; given by the action plugin., type: str, default: ""}
attributes:
  check_mode: {support: full, description: "Fetches and compares, and writes nothing."}
  diff_mode: {support: full, description: Shows the set; of the program that it changed.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Have the keys of the identity provider
  slurmrest.toolkit.slurm_jwks:
    path: /var/lib/slurmrest-jwks/jwks.json
    issuers:
      - name: login
        url: https://login.example.org/jwks
"""

RETURN = r"""
keys: {description: The names (C(kid)) of the keys., returned: success, type: list, elements: str}
dropped: {description: "What was left out, with the reasons.", returned: success, type: list, elements: str}
restarted: {description: Daemons that loaded the set., returned: success, type: list, elements: str}
held: {description: Why other keys were not put in place., returned: success, type: str}
python: {description: The interpreter for the program., returned: success, type: str}
rolled_back: {description: Files that came back to their previous text., returned: failure, type: list, elements: str}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.jwks.comparison import ARGUMENTS, FetchedSet, Timer, result, settings_of, settled


def run(parameters: dict[str, Any]) -> dict[str, Any]:
    """Fetch and compare; SlurmrestError when the keys cannot be used."""
    settings = settings_of(parameters)
    fetched = FetchedSet.now(settings)
    program = parameters["program"]
    timer = Timer(program, parameters["digest"], parameters["settings"]) if program else None
    return {
        **result(fetched.keys),
        "settled": settled(settings, fetched.keys, timer),
        "fetched": fetched.as_dict(),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={**ARGUMENTS, "digest": {"type": "str", "default": ""}},
        required_together=[("program", "settings")],
        supports_check_mode=True,
    )
    finish(module, lambda: run(module.params))


if __name__ == "__main__":
    main()
