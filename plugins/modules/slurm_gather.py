#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Gather what a doctor wants to see of a host (entry file; see module_utils/slurmrest/gather.py and inquiry.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_gather
short_description: Evidence of a host for M(slurmrest.toolkit.slurm_doctor)
description:
  - Looks at units, processes, keys, configurations, sockets, disks and logs, and on a REST host asks slurmrestd over
    HTTP. Changes nothing.
  - The action plugin of the same name mints a short-lived token on the controller and keeps it in memory. What comes
    back holds neither tokens nor keys.
options:
  controller: {description: Inventory name of the host that mints the token (read by the action plugin)., type: str}
  account: {description: Service account of slurmrestd., type: str, default: slurmrestd}
  slurmrestd: {description: "Path of the C(slurmrestd) binary, where it is not at a usual place.", type: path}
  slurm_conf: {description: "Path of slurm.conf, where it is not at a usual place.", type: path}
  roles:
    description: "What this host is there for, among slurmctld, slurmdbd and slurmrestd; by default what is enabled."
    type: list
    elements: str
    default: []
  listen:
    description: Where slurmrestd shall listen; each listener of the unit is asked as well.
    type: list
    elements: str
    default: []
  salt:
    description: "Random text, the same for all hosts of a run: keys are compared by it without being shown."
    type: str
  token: {description: Token of root; given by the action plugin., type: str}
  patience: {description: Seconds during which a bad answer is asked for again., type: float, default: 5}
  request:
    description: A request that does not work for a client. It is not repeated.
    type: dict
    suboptions:
      method: {description: HTTP method., type: str, default: GET}
      path: {description: Path of the URL., type: str, required: true}
      user:
        description: What the client sends as X-SLURM-USER-NAME; empty where it sends none.
        type: str
        default: ""
      token_file:
        description: File on the controller with the client's token (read by the action plugin).
        type: path
  request_token: {description: Token of that client; given by the action plugin., type: str}
attributes:
  check_mode: {support: full, description: Reads only.}
author: slurmrest-toolkit contributors
"""

EXAMPLES = r"""
- name: Gather evidence
  slurmrest.toolkit.slurm_gather:
    controller: "{{ groups['slurmctld'][0] }}"
  register: slurm_evidence
"""

RETURN = r"""
evidence: {description: What was seen., returned: success, type: dict}
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.errors import SlurmrestError
from ..module_utils.slurmrest.gather import gather
from ..module_utils.slurmrest.inquiry import inquire
from ..module_utils.slurmrest.jwt import Token
from ..module_utils.slurmrest.listeners import read

YOUNG_SECONDS = 20.0
"""Daemons younger than this are given the rest of it to find each other."""


def ask(evidence: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Ask the listeners of this host's slurmrestd, in the spelling of their URLs."""
    told = [entry["text"] for entry in evidence["facts"]["unit"]["listeners"]] + wanted["listen"]
    urls = [listener.url for listener in map(read, told) if listener]
    token, client = wanted["token"], wanted["request"]
    running = [process["age"] for name, process in evidence["processes"].items() if name.startswith("slurm")]
    youngest = min(running, default=YOUNG_SECONDS)
    return inquire(
        urls,
        Token(token) if token else None,
        accounting=bool(evidence["facts"]["slurm_conf"]["accounting"]),
        patience=max(wanted["patience"], YOUNG_SECONDS - youngest),
        client=client,
        client_token=Token(wanted["request_token"]) if wanted["request_token"] else None,
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "controller": {"type": "str"},
            "account": {"type": "str", "default": "slurmrestd"},
            "slurmrestd": {"type": "path"},
            "slurm_conf": {"type": "path"},
            "roles": {"type": "list", "elements": "str", "default": []},
            "listen": {"type": "list", "elements": "str", "default": []},
            "salt": {"type": "str", "no_log": True},
            "token": {"type": "str", "no_log": True},
            "patience": {"type": "float", "default": 5},
            "request": {
                "type": "dict",
                "options": {
                    "method": {"type": "str", "default": "GET"},
                    "path": {"type": "str", "required": True},
                    "user": {"type": "str", "default": ""},
                    "token_file": {"type": "path", "no_log": False},
                },
            },
            "request_token": {"type": "str", "no_log": True},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    begin = time.monotonic()
    listen = [listener for listener in map(read, wanted["listen"]) if listener]
    ports = [listener.port for listener in listen if listener.port]
    users = [wanted["request"]["user"]] if wanted["request"] and wanted["request"]["user"] else []
    try:
        evidence = gather({**wanted, "ports": ports, "users": users})
        if "slurmrestd" in evidence["roles"]:
            evidence["http"] = ask(evidence, wanted)
    except SlurmrestError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, evidence=evidence, seconds=round(time.monotonic() - begin, 3))


if __name__ == "__main__":
    main()
