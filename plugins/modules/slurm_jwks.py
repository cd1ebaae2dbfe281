#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""The public keys of issuers on this host (entry file; see module_utils/slurmrest/jwks/refresh.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_jwks
short_description: Have the public keys of issuers (JWKS) where slurmctld and slurmdbd read them
description:
  - Fetches the key sets, judges and normalises them, merges them, and writes the file of C(jwks=) where the keys
    changed. Daemons of this host that run on that file then load it; where one refuses, the former set returns.
  - Writes the program that does the same from a timer, and its settings, if asked to. The set and the settings are
    placed together, while no run of the timer goes on.
extends_documentation_fragment:
  - slurmrest.toolkit.slurm_conf
options:
  path: {description: The file of C(jwks=)., type: path, required: true}
  issuers:
    description: Whose keys.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: How messages call it., type: str, required: true}
      url: {description: "Its key set: https, or http on loopback.", type: str}
      ca_file: {description: "PEM certificates to trust for O(issuers[].url) instead of the host's.", type: path}
      file: {description: "A key set on the machine that Ansible runs on; its text is in O(documents).", type: str}
  documents: {description: "What is in each O(issuers[].file).", type: dict, default: {}}
  daemons:
    description: Daemons of this host that may run on the file, as for M(slurmrest.toolkit.host_transaction).
    type: list
    elements: dict
    default: []
  primary: {description: Whether slurmctld of this host is the primary controller., type: bool, default: false}
  consent:
    description: Whether daemons that run on the file may be made to load other keys; otherwise those in place stay.
    type: bool
    default: false
  timeout: {description: Seconds for each issuer., type: float, default: 15}
  program: {description: Where to write the program for a timer., type: path}
  settings: {description: "Where that program finds what to have; required with O(program).", type: path}
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

import contextlib
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.bundle import bundle, interpreter
from ..module_utils.slurmrest.jwks import command as jwks_cli  # noqa: F401 - Ansible brings what is imported, for the program
from ..module_utils.slurmrest.jwks.refresh import RefreshSettings, alone, place, refresh
from ..module_utils.slurmrest.transaction.baseline import Baseline
from ..module_utils.slurmrest.transaction.comparison import Applied
from ..module_utils.slurmrest.transaction.specs import FileSpec
from ..module_utils.slurmrest.transaction.transaction import Transaction


def run(parameters: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Do what is asked for; SlurmrestError when it cannot be done."""
    names = ("path", "issuers", "daemons", "slurm_conf", "primary", "timeout")
    settings = RefreshSettings.from_mapping({name: parameters[name] for name in names}, parameters["documents"])
    if parameters["program"]:
        done, told = place(settings, parameters["settings"], check=check, consent=parameters["consent"])
    else:
        with contextlib.nullcontext() if check else alone():
            done, told = refresh(settings, check=check, consent=parameters["consent"]), Applied()
    outcomes = [done.outcome, told]
    if parameters["program"]:
        program = FileSpec(parameters["program"], bundle("jwks.command"), mode=0o755, shown=False)
        outcomes.append(Transaction("slurm_jwks-program", files=[program], origin=Baseline()).apply(check=check))
    return {
        "changed": any(outcome.changed for outcome in outcomes),
        "diff": [difference for outcome in outcomes for difference in outcome.diff],
        "keys": [key.kid for key in done.keys.keys],
        "dropped": list(done.keys.dropped),
        "restarted": done.outcome.restarted,
        "held": done.held,
        "python": interpreter(),
    }


def main() -> None:
    """Run the module."""
    issuer = {
        "name": {"type": "str", "required": True},
        "url": {"type": "str"},
        "ca_file": {"type": "path"},
        "file": {"type": "str"},
    }
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "issuers": {"type": "list", "elements": "dict", "required": True, "options": issuer},
            "documents": {"type": "dict", "default": {}},
            "daemons": {"type": "list", "elements": "dict", "default": []},
            "slurm_conf": {"type": "path"},
            "primary": {"type": "bool", "default": False},
            "consent": {"type": "bool", "default": False},
            "timeout": {"type": "float", "default": 15},
            "program": {"type": "path"},
            "settings": {"type": "path"},
        },
        required_together=[("program", "settings")],
        supports_check_mode=True,
    )
    finish(module, lambda: run(module.params, check=module.check_mode))


if __name__ == "__main__":
    main()
