#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Look what the site's own configuration lacks (entry file; see module_utils/slurmrest/merge/comparison.py).

What is to be done the action plugin of the same name has slurm_conf_merge_change judge and do, which takes far more
files along.
"""

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
extends_documentation_fragment: [slurmrest.toolkit.merge]
options:
  plans:
    description: Results in check mode, by host, in the order in which hosts change (read by the action plugin).
    type: dict
  leader: {description: The host whose slurmctld is in charge (read by the action plugin)., type: str}
  aside:
    description: A command that stops a slurmctld that stands by, while the one in charge restarts (likewise).
    type: list
    elements: str
  back: {description: The command that starts it again (likewise)., type: list, elements: str}
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
from ..module_utils.slurmrest.merge.comparison import Comparison, result
from ..module_utils.slurmrest.merge.request import ARGUMENTS, requests


def run(parameters: dict[str, Any]) -> dict[str, Any]:
    """Compare; SlurmrestError when the files cannot be merged. Where something is to be done, that is all it says."""
    looks = []
    for request in requests(parameters):
        looks.append(Comparison(request).compare())
        if looks[-1].changed:
            return {"settled": False}
    return {**result(looks, parameters), "settled": True}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "plans": {"type": "dict"},
            "leader": {"type": "str"},
            "aside": {"type": "list", "elements": "str"},
            "back": {"type": "list", "elements": "str"},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: run(module.params))


if __name__ == "__main__":
    main()
