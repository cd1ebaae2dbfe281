#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Merging into the site's own configuration (entry file; see module_utils/slurmrest/merge/host.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_conf_merge
short_description: Have auth/jwt in a slurm.conf and slurmdbd.conf that the site owns
description:
  - Adds C(auth/jwt) to C(AuthAltTypes) and C(jwt_key) to C(AuthAltParameters), in the file and line that count for
    Slurm, and keeps every other byte. A comment above each changed line says what was done, and O(state=absent) takes
    exactly that away again.
  - Before anything is written, Slurm's own parser reads the result, and nobody's edit may be waiting to be loaded.
  - Then the daemon restarts if it runs; where it refuses, the previous files return and the module fails with its
    words.
  - The action plugin of the same name takes O(plans) and does this over several hosts, so that either all of them
    change or none does, slurmdbd first and the primary controller last.
extends_documentation_fragment: [slurmrest.toolkit.restarting]
options:
  parts:
    description: The configurations of this host.
    type: list
    elements: dict
    default: []
    suboptions:
      kind:
        description:
          - C(slurmctld) for a slurm.conf whose slurmctld runs here, C(copy) for one that only has to be the same.
        type: str
        choices: [slurmdbd, slurmctld, copy]
        required: true
      path: {description: Path of the main file., type: path, required: true}
  jwt_key: {description: Path of the key for files that name none; empty for no HS256 key., type: path}
  parameters:
    description: Further items of C(AuthAltParameters); what an earlier run added and is not among them goes.
    type: list
    elements: str
    default: []
  replace_key: {description: Put O(jwt_key) in the place of a key that a file names., type: bool, default: false}
  state: {description: Whether the lines shall be there., type: str, choices: [present, absent], default: present}
  bare_jwt: {description: Whether the release takes C(jwt) for C(auth/jwt)., type: bool, default: false}
  beside_includer:
    description: Whether the release looks for a relative C(Include) beside the file that includes it.
    type: bool
    default: false
  auth_alt_items:
    description: What the release reads item by item in C(AuthAltParameters); of the rest it finds the name anywhere.
    type: list
    elements: str
    default: [jwt_key, jwks, userclaimfield]
  communication: {description: Items of C(CommunicationParameters)., type: list, elements: str, default: []}
  prefix: {description: Where Slurm is installed., type: path, default: /usr}
  allow_state_loss:
    description: Whether a restart may take what only the memory of slurmctld has.
    type: bool
    default: false
  plans:
    description: Results in check mode, by host, in the order in which hosts change (read by the action plugin).
    type: dict
  leader: {description: The host whose slurmctld is in charge (read by the action plugin)., type: str}
  aside:
    description: A command that stops a slurmctld that stands by, while the one in charge restarts (likewise).
    type: list
    elements: str
  back: {description: The command that starts it again (likewise)., type: list, elements: str}
  step: {description: Used by the action plugin., type: str, choices: [apply, commit, undo], default: apply}
  force: {description: Used by the action plugin., type: bool, default: false}
  hold: {description: Used by the action plugin., type: bool, default: false}
  wait: {description: Used by the action plugin., type: bool, default: false}
  digests: {description: Used by the action plugin., type: dict}
attributes:
  check_mode: {support: full, description: "Compares, asks Slurm's parser, and writes nothing."}
  diff_mode: {support: full, description: Shows every change but passwords.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Have auth/jwt in slurm.conf
  slurmrest.toolkit.slurm_conf_merge:
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
from ..module_utils.slurmrest.merge.host import KINDS, Look, MergeRequest, Part, advice
from ..module_utils.slurmrest.transaction.restarting import ARGUMENT as COLUMNS

REQUEST = (
    "parts",
    "jwt_key",
    "parameters",
    "replace_key",
    "state",
    "bare_jwt",
    "beside_includer",
    "auth_alt_items",
    "communication",
    "prefix",
    "allow_state_loss",
)


def _parts(parameters: dict[str, Any]) -> list[Part]:
    return [
        Part(
            MergeRequest(
                kind=part["kind"],
                path=part["path"],
                jwt_key=parameters["jwt_key"] or "",
                parameters=tuple(parameters["parameters"]),
                state=parameters["state"],
                replace_key=parameters["replace_key"],
                bare_jwt=parameters["bare_jwt"],
                beside_includer=parameters["beside_includer"],
                auth_alt_items=tuple(parameters["auth_alt_items"]),
                communication=tuple(parameters["communication"]),
                prefix=parameters["prefix"],
                allow_state_loss=parameters["allow_state_loss"],
                table=parameters["columns"],
            )
        )
        for part in parameters["parts"]
    ]


def _look(parts: list[Part], parameters: dict[str, Any]) -> tuple[list[Look], dict[str, Any]]:
    looks = [part.look() for part in parts]
    return looks, {
        "changed": any(look.changed for look in looks),
        "diff": [difference for look in looks for difference in look.diff],
        "parts": [look.as_dict() for look in looks],
        "advice": [line for look in looks for line in advice(look)],
        "request": {name: parameters[name] for name in REQUEST},
        "restarted": [],
        "recovered": [],
    }


def run(parameters: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Do what is asked for; SlurmrestError when it cannot be done."""
    parts = _parts(parameters)
    if parameters["step"] == "commit":
        for part in parts:
            part.commit()
        return {"changed": False}
    if parameters["step"] == "undo":
        outcomes = [part.undo(ran=parameters["force"]) for part in parts]
        return {"changed": any(outcome.changed for outcome in outcomes)}
    looks, result = _look(parts, parameters)
    if check:
        return result
    for part, look in zip(parts, looks):
        if not look.changed and not parameters["force"]:
            continue
        if parameters["digests"] is None and (against := [*look.obstacles, *look.problems]):
            raise SlurmrestError("Nothing was changed. {}".format(" ".join(against)))
        digests = look.digests if parameters["digests"] is None else parameters["digests"]
        outcome = part.apply(
            digests=digests, force=parameters["force"], hold=parameters["hold"], wait=parameters["wait"]
        )
        result["restarted"] += outcome.restarted
        result["recovered"] += outcome.recovered
        result["changed"] = result["changed"] or outcome.changed
    return result


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "parts": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "kind": {"type": "str", "choices": list(KINDS), "required": True},
                    "path": {"type": "path", "required": True},
                },
            },
            "jwt_key": {"type": "path", "no_log": False},
            "parameters": {"type": "list", "elements": "str", "default": []},
            "replace_key": {"type": "bool", "default": False, "no_log": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "bare_jwt": {"type": "bool", "default": False},
            "beside_includer": {"type": "bool", "default": False},
            "communication": {"type": "list", "elements": "str", "default": []},
            "auth_alt_items": {"type": "list", "elements": "str", "default": ["jwt_key", "jwks", "userclaimfield"]},
            "prefix": {"type": "path", "default": "/usr"},
            "allow_state_loss": {"type": "bool", "default": False},
            "plans": {"type": "dict"},
            **COLUMNS,
            "leader": {"type": "str"},
            "aside": {"type": "list", "elements": "str"},
            "back": {"type": "list", "elements": "str"},
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
