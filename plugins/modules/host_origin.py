#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Remember what a host was like (entry file; see module_utils/slurmrest/transaction/baseline.py).

What is to be brought back the action plugin of the same name has host_former bring back.
"""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_origin
short_description: Remember what a host was like before its first change, and bring it back
description:
  - With O(state=present) remembers units, accounts, groups and packages that are about to change, unless they are
    remembered already. M(slurmrest.toolkit.host_transaction) does the same with its files. This counts as no change.
  - With O(state=absent) brings back all that was remembered under O(name), as one transaction; without a name removes
    the toolkit's own directory when nothing is remembered any more, which counts as no change either. Nothing happens
    on a host that was never changed.
options:
  name: {description: Name of the role or transaction., type: str}
  state: {description: Whether to remember or to bring back., type: str, choices: [present, absent], default: present}
  shared:
    description:
      - With O(state=absent) nothing happens as long as something else is remembered under a name that begins like this,
        since it stands on the same things.
    type: str
  beginning:
    description: With O(state=absent) brings back what is remembered under each name that begins with O(name).
    type: bool
    default: false
  but: {description: Names that O(beginning) leaves out., type: list, elements: str, default: []}
  own:
    description: Name among those of O(shared) that is gone by now; in check mode, one that would be.
    type: str
  units: {description: Units that are about to change., type: list, elements: str, default: []}
  users:
    description: Accounts that are about to be made, where they do not exist.
    type: list
    elements: str
    default: []
  groups: {description: "Groups, likewise.", type: list, elements: str, default: []}
  packages: {description: Packages that are about to be installed., type: list, elements: str, default: []}
attributes:
  check_mode: {support: full, description: "Compares, and writes nothing."}
  diff_mode: {support: full, description: "Shows which files change, without their text."}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Remember that there is no account yet
  slurmrest.toolkit.host_origin:
    name: slurmrestd_user
    users: [slurmrestd]

- name: Remove the account again
  slurmrest.toolkit.host_origin:
    name: slurmrestd_user
    state: absent
"""

RETURN = r"""
shared_by: {description: Names because of which nothing happened., returned: success, type: list, elements: str}
changed_paths: {description: What changed., returned: success, type: list, elements: str}
packages: {description: Packages that were installed; they stay., returned: success, type: list, elements: str}
stopped: {description: Units that were stopped., returned: success, type: list, elements: str}
restarted: {description: Units that were restarted., returned: success, type: list, elements: str}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.host.lock import host_lock
from ..module_utils.slurmrest.systemd.systemctl import Systemd
from ..module_utils.slurmrest.transaction.baseline import Baseline

KINDS = ("units", "users", "groups", "packages")


def run(parameters: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Do what is asked for; SlurmrestError when it cannot be done."""
    origin = Baseline()
    name = parameters["name"]
    if parameters["state"] == "present":
        if not check:
            systemd = Systemd()
            with host_lock(origin.state_dir):
                origin.remember(
                    name,
                    units={unit: systemd.show(unit) for unit in parameters["units"]},
                    users=parameters["users"],
                    groups=parameters["groups"],
                    packages=parameters["packages"],
                )
        return {"changed": False}
    if name is None:
        origin.sweep(check=check)
        return {"changed": False}
    shared = (
        origin.others(parameters["shared"], *([parameters["own"]] if check else [])) if parameters["shared"] else []
    )
    if shared:
        return {"changed": False, "shared_by": shared}
    alike = origin.others(name, *parameters["but"]) if parameters["beginning"] else []
    remembered = alike or ([name] if origin.remembered(name) else [])
    if not remembered:
        return {"changed": False, "packages": [], "stopped": [], "restarted": []}
    return {"changed": False, "remembered": remembered}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "shared": {"type": "str"},
            "own": {"type": "str"},
            "beginning": {"type": "bool", "default": False},
            "but": {"type": "list", "elements": "str", "default": []},
            **{kind: {"type": "list", "elements": "str", "default": []} for kind in KINDS},
        },
        required_if=[("state", "present", ["name"])],
        supports_check_mode=True,
    )
    finish(module, lambda: run(module.params, check=module.check_mode))


if __name__ == "__main__":
    main()
