#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Ask the slurmrestd of this host for a doctor (entry file; see module_utils/slurmrest/doctor/inquiry.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_ask
short_description: What slurmrestd answers on its own host, for M(slurmrest.toolkit.slurm_doctor)
description:
  - Sends a handful of requests that only read. What comes back holds no token.
  - The action plugin of the same name takes listeners from the evidence of the host, mints a short-lived token on the
    controller and keeps it in memory.
options:
  evidence:
    description: Name under which M(slurmrest.toolkit.slurm_gather) was registered (read by the action plugin).
    type: str
  controllers:
    description:
      - Inventory names of the controllers, the primary first. The first that answers makes the token (read by the
        action plugin).
    type: list
    elements: str
  controller: {description: "The same where there is one.", type: str}
  listen: {description: Further addresses where slurmrestd shall listen., type: list, elements: str, default: []}
  request:
    description: A request that does not work for a client. It is repeated where it is a GET that slurmrestd has.
    type: dict
    suboptions:
      method: {description: HTTP method., type: str, default: GET}
      path: {description: Path of the URL., type: str, required: true}
      user:
        description: What the client sends as X-SLURM-USER-NAME; empty where it sends none.
        type: str
        default: ""
      token_file:
        description: File on the controller with the client's token, where it sends one (read by the action plugin).
        type: path
  tls_cacert: {description: "File on this host with the authorities of listeners that speak TLS.", type: str}
  tls_name: {description: Name that their certificate must be for., type: str}
  urls: {description: Addresses to ask; given by the action plugin., type: list, elements: str, default: []}
  service: {description: Name of its unit; given by the action plugin., type: str, default: slurmrestd}
  account:
    description: Account of its unit; given by the action plugin. No token goes where another one listens.
    type: str
    default: ""
  accounting: {description: Whether slurmdbd has to answer; given by the action plugin., type: bool, default: false}
  patience: {description: Seconds during which a bad answer is asked for again., type: float, default: 5}
  token: {description: Token of root; given by the action plugin., type: str}
  request_token: {description: Token of that client; given by the action plugin., type: str}
  told: {description: What the request and its token say by themselves; given by the action plugin., type: dict}
attributes:
  check_mode: {support: full, description: Reads only.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Ask slurmrestd
  slurmrest.toolkit.slurm_ask:
    evidence: slurm_evidence
    controllers: "{{ groups['slurmctld'] }}"
  register: slurm_answers
"""

RETURN = r"""
http: {description: What it answered., returned: success, type: dict}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.auth.bearer import Token
from ..module_utils.slurmrest.doctor.inquiry import inquire
from ..module_utils.slurmrest.rest.client import Target
from ..module_utils.slurmrest.rest.tls import Tls
from ..module_utils.slurmrest.slurmrestd.strangers import accounts_of, strangers


def ask(wanted: dict[str, Any]) -> dict[str, Any]:
    """Ask each address; SlurmrestError when it cannot be done."""
    accounts = accounts_of(f"{wanted['service']}.service", wanted["account"])
    return inquire(
        wanted["urls"],
        held=lambda: strangers(map(Target.parse, wanted["urls"]), accounts),
        token=Token(wanted["token"]) if wanted["token"] else None,
        accounting=wanted["accounting"],
        patience=wanted["patience"],
        client={**wanted["request"], "told": wanted["told"]} if wanted["request"] else None,
        client_token=Token(wanted["request_token"]) if wanted["request_token"] else None,
        tls=Tls(cacert=wanted["tls_cacert"] or None, name=wanted["tls_name"] or ""),
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "evidence": {"type": "str"},
            "controllers": {"type": "list", "elements": "str"},
            "controller": {"type": "str"},
            "listen": {"type": "list", "elements": "str", "default": []},
            "request": {
                "type": "dict",
                "options": {
                    "method": {"type": "str", "default": "GET"},
                    "path": {"type": "str", "required": True},
                    "user": {"type": "str", "default": ""},
                    "token_file": {"type": "path", "no_log": False},
                },
            },
            "urls": {"type": "list", "elements": "str", "default": []},
            "service": {"type": "str", "default": "slurmrestd"},
            "account": {"type": "str", "default": ""},
            "accounting": {"type": "bool", "default": False},
            "tls_cacert": {"type": "str"},
            "tls_name": {"type": "str"},
            "patience": {"type": "float", "default": 5},
            "token": {"type": "str", "no_log": True},
            "request_token": {"type": "str", "no_log": True},
            "told": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: {"http": ask(module.params)})


if __name__ == "__main__":
    main()
