#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Have the public keys of issuers on this host (entry file; see module_utils/slurmrest/jwks/refresh.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_jwks_change
short_description: Do what slurm_jwks has found to be done
description:
  - For M(slurmrest.toolkit.slurm_jwks), which looks first and says what is meant. It takes along what is known of
    Slurm's daemons and what the program for a timer is made of. The issuers are asked again only without what that look
    fetched, or where another set was placed since.
extends_documentation_fragment: [slurmrest.toolkit.jwks, slurmrest.toolkit.slurm_conf]
options:
  fetched:
    description: What the look fetched; it is judged again.
    type: dict
    suboptions:
      set: {description: The keys of all issuers., type: str, required: true}
      dropped: {description: "What was left out, with the reasons.", type: list, elements: str, required: true}
      over: {description: "SHA-256 of the set that was in place then, empty without one.", type: str, required: true}
attributes:
  check_mode: {support: full, description: "Compares, and writes nothing."}
  diff_mode: {support: full, description: Shows the set; of the program that it changed.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Have the keys of the identity provider, whatever is there
  slurmrest.toolkit.slurm_jwks_change:
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
from ..module_utils.slurmrest.bundle import bundle
from ..module_utils.slurmrest.jwks import command as jwks_cli  # noqa: F401 - Ansible brings what is imported, for the program
from ..module_utils.slurmrest.jwks.comparison import ARGUMENTS, PROGRAM, FetchedSet, result, settings_of
from ..module_utils.slurmrest.jwks.refresh import alone, place, refresh
from ..module_utils.slurmrest.transaction.baseline import Baseline
from ..module_utils.slurmrest.transaction.specs import FileSpec
from ..module_utils.slurmrest.transaction.transaction import Transaction

FETCHED = {
    "type": "dict",
    "options": {
        "set": {"type": "str", "required": True},
        "dropped": {"type": "list", "elements": "str", "required": True},
        "over": {"type": "str", "required": True},
    },
}


def run(parameters: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Do what is asked for; SlurmrestError when it cannot be done."""
    settings = settings_of(parameters)
    how: dict[str, Any] = {"check": check, "consent": parameters["consent"]}
    if parameters["fetched"]:
        how["fetched"] = FetchedSet.from_mapping(parameters["fetched"])
    if not parameters["program"]:
        with contextlib.nullcontext() if check else alone():
            done = refresh(settings, **how)
        return result(done.keys, done.outcome, held=done.held)
    done, told = place(settings, parameters["settings"], **how)
    program = FileSpec(parameters["program"], bundle("jwks.command"), mode=0o755, shown=False)
    written = Transaction(PROGRAM, files=[program], origin=Baseline()).apply(check=check)
    return result(done.keys, done.outcome, told, written, held=done.held)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={**ARGUMENTS, "fetched": FETCHED},
        required_together=[("program", "settings")],
        supports_check_mode=True,
    )
    finish(module, lambda: run(module.params, check=module.check_mode))


if __name__ == "__main__":
    main()
