#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Merge into the site's own configuration (entry file; see module_utils/slurmrest/merge/host.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_conf_merge_change
short_description: Judge and do what slurm_conf_merge has found to be done
description:
  - For M(slurmrest.toolkit.slurm_conf_merge), which looks first and says what is meant. It takes along what is known of
    Slurm's daemons, which the look does not need.
extends_documentation_fragment: [slurmrest.toolkit.merge, slurmrest.toolkit.restart_columns]
options:
  step:
    description: Change the files, forget the previous ones, or bring them back.
    type: str
    choices: [apply, commit, undo]
    default: apply
  force:
    description: Restart the daemon also when the files are right already; on the way back, where it failed.
    type: bool
    default: false
  hold: {description: Keep the previous files until another O(step)., type: bool, default: false}
  wait: {description: "Another host writes the files; wait until this one sees that.", type: bool, default: false}
  digests:
    description: Of the files as they were seen in check mode; when one has changed since, nothing is done.
    type: dict
attributes:
  check_mode: {support: full, description: "Compares, asks Slurm's parser, and writes nothing."}
  diff_mode: {support: full, description: Shows every change but passwords.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Have auth/jwt in slurm.conf, whatever is there
  slurmrest.toolkit.slurm_conf_merge_change:
    parts:
      - kind: slurmctld
        path: /etc/slurm/slurm.conf
    jwt_key: /var/lib/slurm/jwt/jwt_hs256.key
"""

RETURN = r"""
parts:
  description: For each configuration what changes and what stands against it (C(problems)).
  returned: success
  type: list
  elements: dict
advice: {description: The exact lines and commands for doing it by hand., returned: success, type: list, elements: str}
request: {description: The parameters., returned: success, type: dict}
restarted: {description: Units that were restarted., returned: success, type: list, elements: str}
recovered: {description: Files that a killed run had left half-way., returned: success, type: list, elements: str}
rolled_back: {description: Files that came back to their previous text., returned: failure, type: list, elements: str}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.errors import SlurmrestError
from ..module_utils.slurmrest.merge.comparison import Look, result
from ..module_utils.slurmrest.merge.host import Part, advice
from ..module_utils.slurmrest.merge.request import ARGUMENTS, requests
from ..module_utils.slurmrest.transaction.restart_columns import ARGUMENT


def run(parameters: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Do what is asked for; SlurmrestError when it cannot be done."""
    parts = [Part(request, table=parameters["columns"]) for request in requests(parameters)]
    if parameters["step"] == "commit":
        for part in parts:
            part.commit()
        return {"changed": False}
    if parameters["step"] == "undo":
        outcomes = [part.undo(ran=parameters["force"]) for part in parts]
        return {"changed": any(outcome.changed for outcome in outcomes)}
    looks = [part.look() for part in parts]
    told = {**result(looks, parameters), "advice": [line for look in looks for line in advice(look)]}
    if not check:
        _change(list(zip(parts, looks)), parameters, told)
    return told


def _change(seen: list[tuple[Part, Look]], parameters: dict[str, Any], told: dict[str, Any]) -> None:
    """Change what is to be changed, and note in the result what was done."""
    for part, look in seen:
        if not look.changed and not parameters["force"]:
            continue
        if parameters["digests"] is None and (against := [*look.obstacles, *look.problems]):
            raise SlurmrestError("Nothing was changed. {}".format(" ".join(against)))
        digests = look.digests if parameters["digests"] is None else parameters["digests"]
        outcome = part.apply(
            digests=digests, force=parameters["force"], hold=parameters["hold"], wait=parameters["wait"]
        )
        told["restarted"] += outcome.restarted
        told["recovered"] += outcome.recovered
        told["changed"] = told["changed"] or outcome.changed


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            **ARGUMENT,
            "step": {"type": "str", "choices": ["apply", "commit", "undo"], "default": "apply"},
            "force": {"type": "bool", "default": False},
            "hold": {"type": "bool", "default": False},
            "wait": {"type": "bool", "default": False},
            "digests": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: run(module.params, check=module.check_mode))


if __name__ == "__main__":
    main()
