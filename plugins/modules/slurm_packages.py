#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Install packages of Slurm where that does no harm (entry file; see module_utils/slurmrest/packages/manager.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_packages
short_description: Install packages of Slurm, unless that would remove or downgrade anything
description:
  - Asks the package manager (C(apt-get) or C(dnf)) what it would do, reads the plan, and refuses it with the whole plan
    in words where something would be removed, replaced or downgraded, or where a package of Slurm that is installed
    would be renewed unasked. Then it installs, in one transaction.
  - No daemon is started or restarted by a package's script or by C(needrestart), nothing is cleaned up, and changed
    configuration files stay as they are.
options:
  family: {description: "Family of the distribution, C(Debian) or C(RedHat).", type: str, required: true}
  names: {description: Names of packages., type: list, elements: str, default: []}
  files: {description: Package files on this host., type: list, elements: path, default: []}
  upgrade:
    description: Renew the packages of O(names) that are installed, instead of installing.
    type: bool
    default: false
  components:
    description: What this host shall have. Of O(files) only what belongs to it is taken, and may renew what is there.
    type: list
    elements: str
    default: []
  judged:
    description: Versions by daemon that an upgrade was judged by. A plan that would bring others is refused.
    type: dict
  consent:
    description: Whether O(files) may renew daemons that run, within their release. Others are refused.
    type: bool
    default: false
  remember: {description: Name under which what is there before is remembered., type: str, default: ""}
  remedy: {description: What to do where it is refused., type: str, default: ""}
attributes:
  check_mode: {support: full, description: "Asks, with an index of its own, and leaves all as it is."}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Have slurmrestd
  slurmrest.toolkit.slurm_packages:
    family: Debian
    names: [slurmrestd, slurm-wlm-jwt-plugin]
"""

RETURN = r"""
plan: {description: "What is done, a line an action.", returned: success or refused, type: list, elements: str}
installed: {description: Packages that were not there before., returned: success, type: list, elements: str}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.packages.manager import PackageRequest, install, manager


def run(parameters: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Do what is asked for; SlurmrestError when it is refused or cannot be done."""
    request = PackageRequest(
        names=tuple(parameters["names"]),
        files=tuple(parameters["files"]),
        upgrade=parameters["upgrade"],
        judged=parameters["judged"],
        components=tuple(parameters["components"]),
        consent=parameters["consent"],
    )
    return install(
        request,
        manager(parameters["family"]),
        check=check,
        remedy=parameters["remedy"],
        remember=parameters["remember"],
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "family": {"type": "str", "required": True},
            "names": {"type": "list", "elements": "str", "default": []},
            "files": {"type": "list", "elements": "path", "default": []},
            "upgrade": {"type": "bool", "default": False},
            "components": {"type": "list", "elements": "str", "default": []},
            "judged": {"type": "dict"},
            "consent": {"type": "bool", "default": False},
            "remember": {"type": "str", "default": ""},
            "remedy": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: run(module.params, check=module.check_mode))


if __name__ == "__main__":
    main()
