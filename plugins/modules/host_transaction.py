#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Apply rendered files and restarts as one transaction (entry file; see slurmrest/transaction/transaction.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_transaction
short_description: Write files, restart units and ask them for an answer, or put everything back
description:
  - Compares, writes by rename, reloads systemd, restarts the units whose files changed and waits until each probe is
    answered. Where a daemon refuses, the previous files and states return and the module fails with the daemon's words.
  - Before it restarts a slurmctld or slurmdbd that runs, it looks whether that would start again, and with all that it
    knows. Otherwise it fails and changes nothing, in check mode, too.
  - Holds a lock on the host and keeps a journal; what a killed run left half-way is undone by the next one.
options:
  name:
    description: Name of the transaction, usually the role.
    type: str
    required: true
  files:
    description: Files as they shall be.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      content: {description: The text., type: str}
      secret_content: {description: "The text where it holds a secret: never in logs and differences.", type: str}
      state: {description: Whether the file shall be there., type: str, choices: [present, absent], default: present}
      owner: {description: Owner., type: str, default: root}
      group: {description: Group., type: str, default: root}
      mode: {description: Permissions as a quoted octal number., type: str, default: "0644"}
  directories:
    description: Directories as they shall be.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      owner: {description: Owner., type: str, default: root}
      group: {description: Group., type: str, default: root}
      mode: {description: Permissions as a quoted octal number., type: str, default: "0755"}
  set_aside:
    description:
      - Files of the site that must not decide any more. A copy with the suffix C(.slurmrest-kept) stays beside each.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      lines:
        description: Lines of a unit file to take away, counted from 1; all of the file where none is given.
        type: list
        elements: int
        default: []
  remember:
    description: Whether to remember what was there before the first change, for M(slurmrest.toolkit.host_origin).
    type: bool
    default: false
  services:
    description: Units in the order in which they are restarted.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Unit name., type: str, required: true}
      state:
        description:
          - C(started) brings the unit up, C(if_running) only restarts it on a change when it runs already,
            C(restarted) does so without a change, too.
        type: str
        choices: [started, if_running, restarted]
        default: started
      enabled: {description: "Whether systemd starts it at boot; left alone when not given.", type: bool}
      restart: {description: Whether a change restarts the unit., type: bool, default: true}
      reload:
        description: Whether a change is taken by a reload instead, as by a daemon that serves others, too.
        type: bool
        default: false
      replacing:
        description: Whether another release than the one that runs is what slurmctld or slurmdbd restarts for.
        type: bool
        default: false
      allow_state_loss:
        description: Whether a restart may take what only the memory of slurmctld has.
        type: bool
        default: false
      timeout: {description: Patience for all probes in seconds., type: float, default: 30}
      probes:
        description:
          - "Questions to be answered: C({listeners: [ADDRESS]}), C({command: [ARGV]}), C({tcp: HOST:PORT}) or
            C({gateway: [ADDRESS, NAME, REVISION]})."
        type: list
        elements: dict
        default: []
attributes:
  check_mode: {support: full, description: Compares and writes nothing.}
  diff_mode: {support: full, description: Shows every change but secrets.}
author: slurmrest-toolkit contributors
"""

EXAMPLES = r"""
- name: Bring up slurmrestd
  slurmrest.toolkit.host_transaction:
    name: slurmrestd_service
    files:
      - path: /etc/systemd/system/slurmrestd.service.d/50-slurmrest.conf
        content: "{{ lookup('ansible.builtin.template', '50-slurmrest.conf.j2') }}"
    services:
      - name: slurmrestd
        enabled: true
        probes: [{listeners: ["127.0.0.1:6820"]}]
"""

RETURN = r"""
changed_paths: {description: Files and directories that changed., returned: success, type: list, elements: str}
restarted: {description: Units that were restarted., returned: success, type: list, elements: str}
started: {description: Units that were started., returned: success, type: list, elements: str}
recovered: {description: Files that a killed run had left half-way., returned: success, type: list, elements: str}
seconds: {description: Duration., returned: success, type: float}
rolled_back: {description: Files that came back to their previous text., returned: failure, type: list, elements: str}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.transaction.baseline import Baseline
from ..module_utils.slurmrest.transaction.set_aside import aside
from ..module_utils.slurmrest.transaction.specs import DirectorySpec, FileSpec, ServiceSpec
from ..module_utils.slurmrest.transaction.transaction import Transaction, octal


def _file(data: dict[str, Any]) -> FileSpec:
    secret = data["secret_content"]
    text = data["content"] if secret is None else secret
    return FileSpec(
        path=data["path"],
        content=None if text is None else text.encode(),
        state=data["state"],
        owner=data["owner"],
        group=data["group"],
        mode=octal(data["mode"]),
        sensitive=secret is not None,
    )


def run(module: AnsibleModule) -> dict[str, Any]:
    """Apply it; SlurmrestError when it cannot be done."""
    parameters = module.params
    files = [_file(entry) for entry in parameters["files"]]
    asides = [spec for entry in parameters["set_aside"] for spec in aside(entry["path"], entry["lines"], files)]
    outcome = Transaction(
        name=parameters["name"],
        files=[*files, *asides],
        directories=[
            DirectorySpec(entry["path"], entry["owner"], entry["group"], octal(entry["mode"]))
            for entry in parameters["directories"]
        ],
        services=[ServiceSpec.from_mapping(entry) for entry in parameters["services"]],
        origin=Baseline() if parameters["remember"] else None,
    ).apply(check=module.check_mode)
    if outcome.recovered:
        module.warn("An earlier run was killed half-way; undone first: {}".format(", ".join(outcome.recovered)))
    return {
        "changed": outcome.changed,
        "diff": outcome.diff,
        "changed_paths": outcome.changed_paths,
        "restarted": outcome.restarted,
        "started": outcome.started,
        "recovered": outcome.recovered,
        "seconds": round(outcome.seconds, 3),
    }


def main() -> None:
    """Run the module."""
    ownership = {"owner": {"type": "str", "default": "root"}, "group": {"type": "str", "default": "root"}}
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "content": {"type": "str"},
                    "secret_content": {"type": "str", "no_log": True},
                    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
                    "mode": {"type": "str", "default": "0644"},
                    **ownership,
                },
            },
            "directories": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "mode": {"type": "str", "default": "0755"},
                    **ownership,
                },
            },
            "set_aside": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "lines": {"type": "list", "elements": "int", "default": []},
                },
            },
            "remember": {"type": "bool", "default": False},
            "services": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "state": {"type": "str", "choices": ["started", "if_running", "restarted"], "default": "started"},
                    "enabled": {"type": "bool"},
                    "restart": {"type": "bool", "default": True},
                    "reload": {"type": "bool", "default": False},
                    "replacing": {"type": "bool", "default": False},
                    "allow_state_loss": {"type": "bool", "default": False},
                    "timeout": {"type": "float", "default": 30},
                    "probes": {"type": "list", "elements": "dict", "default": []},
                },
            },
        },
        supports_check_mode=True,
    )
    finish(module, lambda: run(module))


if __name__ == "__main__":
    main()
