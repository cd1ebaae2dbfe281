#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""A new JWT key on every host that has it (entry file; see module_utils/slurmrest/rotation/order.py and host.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: key_rotation
short_description: Replace the JWT key of a cluster, prove the new one, or bring the old one back
description:
  - The steps C(look), C(prepare) and C(rotate) are for tasks. C(look) runs on every host that has the key, the others
    on the primary controller, from where the action plugin leads the other hosts through the remaining steps.
  - The new key waits beside the old one, where M(slurmrest.toolkit.shared_key) has put it. It is renamed over the old
    one, which stays as a link until the new key is proven over HTTP.
  - Each host keeps a journal, so that the next run finishes or undoes what an interrupted one left.
extends_documentation_fragment:
  - slurmrest.toolkit.slurm_conf
options:
  step:
    description: What to do.
    type: str
    required: true
    choices: [look, prepare, rotate, sign, begin, switch, decide, keep, undo]
  path: {description: Absolute path of the key., type: path, required: true}
  reader: {description: "Account that reads the key, SlurmUser.", type: str, required: true}
  components: {description: What this host runs., type: list, elements: str, default: []}
  daemons:
    description: Units as in M(slurmrest.toolkit.host_transaction), slurmdbd first.
    type: list
    elements: dict
    default: []
  facts: {description: Those of this host; given by the action plugin for C(look)., type: dict}
  columns:
    description: Of the release table what decides about restarts; given by the action plugin for C(look).
    type: list
    elements: list
    default: []
  ports: {description: Where each daemon listens; given by the action plugin., type: dict, default: {}}
  prefix: {description: "Where Slurm is installed, for its programs.", type: path}
  whole: {description: "Also look at the whole cluster, on its primary controller.", type: bool, default: false}
  primary: {description: Inventory name of the primary controller (read by the action plugin)., type: str}
  nonce: {description: A word that is the same for all hosts of a run., type: str, default: ""}
  hosts: {description: What C(look) returned for each host (read by the action plugin)., type: dict, default: {}}
  rest_host: {description: Inventory name of the host of slurmrestd (read by the action plugin)., type: str}
  instance:
    description: That of C(slurmrestd@INSTANCE.service) there, where several serve (read by the action plugin).
    type: str
  confirm: {description: Whether to end every token (read by the action plugin)., type: bool, default: false}
  consent: {description: Whether daemons may be restarted (read by the action plugin)., type: bool, default: false}
  clusters:
    description: Other clusters of the same slurmdbd that are taken care of (read by the action plugin).
    type: list
    elements: str
    default: []
  without:
    description: Controllers that are down for good and keep the old key, which must not come back.
    type: list
    elements: str
    default: []
  aside:
    description: A command that stops a slurmctld that stands by (read by the action plugin).
    type: list
    elements: str
  back: {description: The command that starts it again (likewise)., type: list, elements: str}
  user: {description: Administrator whose tokens prove the keys., type: str, default: root}
  rotation: {description: Name of the run; given by the action plugin., type: str}
  switch:
    description: Daemons that load the new key now; given by the action plugin.
    type: list
    elements: str
    default: []
  reconfigure: {description: Whether slurmctld loads it without a restart., type: bool, default: false}
attributes:
  check_mode: {support: full, description: Says what would be done in which order.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Look at the key of this host
  slurmrest.toolkit.key_rotation:
    step: look
    path: /var/lib/slurm/jwt/jwt_hs256.key
    reader: slurm
    components: [slurmctld]
"""

RETURN = r"""
look: {description: What is there., returned: step look, type: dict}
repaired:
  description: What became of an interrupted run, C(finished), C(undone) or C(ended) by itself.
  returned: step prepare
  type: str
plan: {description: What is done in which order., returned: step prepare, type: list, elements: str}
refused: {description: What a real run would refuse., returned: step prepare in check mode, type: list, elements: str}
rotation:
  description: "The proof, the seconds of each step, and the measurement: gap and changeover in seconds."
  returned: step rotate
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.errors import SlurmrestError
from ..module_utils.slurmrest.rotation import members
from ..module_utils.slurmrest.rotation.host import KeyOnHost, daemon_ports, expected_key, named_hosts, written_by_us
from ..module_utils.slurmrest.slurm.commands import Slurm
from ..module_utils.slurmrest.systemd.loaded_conf import of_host
from ..module_utils.slurmrest.systemd.systemctl import Systemd
from ..module_utils.slurmrest.transaction.restart_evidence import outlook
from ..module_utils.slurmrest.transaction.specs import ServiceSpec

TOKEN_SECONDS = 900

OWN = ("path", "reader", "daemons", "slurm_conf", "prefix")
"""What may differ from host to host."""


def look(key: KeyOnHost, wanted: dict[str, Any]) -> dict[str, Any]:
    """Everything the conductor has to know of this host."""
    facts = wanted["facts"]
    names = [service.name for service in key.services]
    slurm = Slurm.of(facts, key.run)
    edited = of_host(facts, names, slurm=slurm, systemd=Systemd(key.run))
    ahead = outlook(key.services, key.run, wanted["columns"])
    return {
        **key.look(wanted["nonce"]),
        "path": key.path,
        "own": {name: wanted[name] for name in OWN if wanted[name] is not None},
        "components": wanted["components"],
        "reconfigure": bool((facts["release"] or {}).get("reconfigure_rereads_key")),
        "configured": {name: expected_key(facts, name) for name in names},
        "ports": {name: daemon_ports(facts, name) for name in names},
        "newer": {name: str(edit) for name, edit in edited.items()},
        "restart": ahead.refusals,
        "unseen": ahead.unseen,
        "ours": written_by_us(facts, names),
        "named": named_hosts(facts, names),
        "cluster": facts["slurm_conf"]["cluster_name"],
        "accounting": facts["slurm_conf"]["accounting"],
        "controllers": members.controllers(slurm) if wanted["whole"] else {},
        "clusters": members.clusters(slurm) if wanted["whole"] and facts["slurm_conf"]["accounting"] else {},
    }


def run(key: KeyOnHost, wanted: dict[str, Any]) -> dict[str, Any]:
    """Do one step on this host."""
    step, rotation = wanted["step"], wanted["rotation"]
    if step == "look":
        seen = look(key, wanted)
        return {"changed": False, "look": seen, "warnings": seen.pop("unseen")}
    if step == "sign":
        return {"changed": False, "tokens": key.sign(wanted["user"], TOKEN_SECONDS)}
    if step == "begin":
        key.begin(rotation)
    elif step == "switch":
        key.switch(rotation, wanted["switch"], reconfigure=wanted["reconfigure"])
    elif step == "decide":
        key.decide(rotation)
    elif step == "keep":
        key.keep(wanted["without"])
    elif step == "undo":
        key.undo(reconfigure=wanted["reconfigure"])
    else:
        raise SlurmrestError(f"the step {step} belongs to the action plugin")
    return {"changed": True}


def main() -> None:
    """Run the module."""
    words = {"type": "list", "elements": "str", "default": []}
    no = {"type": "bool", "default": False}
    steps = ["look", "prepare", "rotate", "sign", "begin", "switch", "decide", "keep", "undo"]
    module = AnsibleModule(
        argument_spec={
            "step": {"type": "str", "required": True, "choices": steps},
            "path": {"type": "path", "required": True},
            "reader": {"type": "str", "required": True},
            "components": words,
            "daemons": {"type": "list", "elements": "dict", "default": []},
            "ports": {"type": "dict", "default": {}},
            "slurm_conf": {"type": "path"},
            "facts": {"type": "dict"},
            "columns": {"type": "list", "elements": "list", "default": []},
            "prefix": {"type": "path"},
            "whole": no,
            "primary": {"type": "str"},
            "nonce": {"type": "str", "default": ""},
            "hosts": {"type": "dict", "default": {}},
            "rest_host": {"type": "str"},
            "instance": {"type": "str"},
            "confirm": no,
            "consent": no,
            "clusters": words,
            "without": words,
            "aside": {"type": "list", "elements": "str"},
            "back": {"type": "list", "elements": "str"},
            "user": {"type": "str", "default": "root"},
            "rotation": {"type": "str"},
            "switch": words,
            "reconfigure": no,
        },
        supports_check_mode=True,
    )
    wanted = module.params
    daemons = [ServiceSpec.from_mapping(entry) for entry in wanted["daemons"] if entry["name"] in wanted["components"]]
    key = KeyOnHost(
        wanted["path"],
        wanted["reader"],
        daemons,
        ports=wanted["ports"],
        conf=wanted["slurm_conf"] or "",
        prefix=wanted["prefix"] or "",
    )
    finish(module, lambda: run(key, wanted))


if __name__ == "__main__":
    main()
