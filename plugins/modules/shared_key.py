#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""One secret key, the same on several hosts (entry file; the transport is the action plugin of the same name)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: shared_key
short_description: Make a key on one host and place the same key on others
description:
  - On the host named O(source) the key is made when it is absent and kept when it is there.
  - Every other host gets a copy, through the controller's memory only.
  - A key that is short, or that others could have read, is refused rather than mended, because it may be known already.
extends_documentation_fragment: [slurmrest.toolkit.key]
options:
  source: {description: Inventory name of the host that makes the key (read by the action plugin)., type: str}
  source_path: {description: "Path of the key there, where it is another one (read by the action plugin).", type: path}
  supplied: {description: "Path of a key on the controller to use instead (read by the action plugin).", type: path}
  source_named_by: {description: The same for O(source_path) (read by the action plugin)., type: str, default: ""}
attributes:
  check_mode: {support: full, description: Compares and writes nothing.}
  diff_mode: {support: full, description: Never shows the key.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Have one JWT key on all controllers
  slurmrest.toolkit.shared_key:
    path: /var/lib/slurm/jwt/jwt_hs256.key
    owner: slurm
    group: slurm
    source: "{{ slurm_common_controllers[0] }}"
"""

RETURN = r"""
replaced: {description: Whether another key was there before., returned: success, type: bool}
restarted: {description: Units that were restarted., returned: success, type: list, elements: str}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.transaction.comparison import Applied, Wanted
from ..module_utils.slurmrest.transaction.key_place import ARGUMENTS, placing


def run(module: AnsibleModule) -> dict[str, Any]:
    """Judge and compare; SlurmrestError for what is refused. Where something is to be done, nothing is handed out."""
    wanted = placing(module.params, check=module.check_mode)
    if not Wanted(**wanted.transaction).settled():
        return {"changed": False, "settled": False}
    return {**wanted.result(Applied(), fetch=module.params["fetch"]), "settled": True}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "source": {"type": "str"},
            "source_path": {"type": "path"},
            "supplied": {"type": "path"},
            "source_named_by": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: run(module))


if __name__ == "__main__":
    main()
