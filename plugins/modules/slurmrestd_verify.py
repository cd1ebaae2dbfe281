#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Prove that the slurmrestd of this host works (entry file; see module_utils/slurmrest/verify/proof.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurmrestd_verify
short_description: Ask slurmrestd over every listener and report what was proven
description:
  - Runs on the REST host, so that loopback addresses and UNIX sockets are reached. Changes nothing, except that with
    O(job=true) a short job is submitted as an ordinary user.
  - The action plugin of the same name mints short-lived tokens on the controller and keeps them in memory.
extends_documentation_fragment:
  - slurmrest.toolkit.instance
  - slurmrest.toolkit.verification
  - slurmrest.toolkit.proof
options:
  controllers:
    description:
      - Inventory names of the controllers, the primary first. The first that answers makes the tokens (read by the
        action plugin).
    type: list
    elements: str
  controller: {description: "The same where there is one.", type: str}
  facts:
    description:
      - Facts of this host as M(slurmrest.toolkit.slurm_facts) finds them, where nothing has changed since. The action
        plugin has M(slurmrest.toolkit.slurmrestd_verify_unseen) do the same otherwise, which looks at the host first.
    type: dict
  scontrol:
    description:
      - Whether tokens that C(scontrol) makes are good. By default they are not where slurm.conf has a set of public
        keys and no key. Without O(token_file) nothing is asked then, which is said (read by the action plugin).
    type: bool
  token_file:
    description:
      - File on the Ansible controller with a token of O(user), where C(scontrol) makes none that is good (read by the
        action plugin). No job is submitted then.
    type: str
  job:
    description:
      - Whether to submit a job and follow it to its end, which the action plugin has
        M(slurmrest.toolkit.slurmrestd_job) do.
    type: bool
    default: false
  job_timeout: {description: Seconds until the job must have ended., type: float, default: 60}
  urls:
    description: Listeners to ask, as in C(slurmrestd_service_listen); those of the unit by default.
    type: list
    elements: str
    default: []
  report_directory:
    description:
      - Directory on the Ansible controller where a page to read (C(HOST.html)) and JUnit XML (C(HOST.xml)) are written
        (by the action plugin, not in check mode).
    type: str
  accounting: {description: "Whether there is a slurmdbd; taken from slurm.conf by default.", type: bool}
attributes:
  check_mode: {support: full, description: Submits no job.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Prove that slurmrestd works
  slurmrest.toolkit.slurmrestd_verify:
    controllers: "{{ groups['slurmctld'] }}"

- name: Prove that jobs run too, and keep a page of it
  slurmrest.toolkit.slurmrestd_verify:
    controllers: "{{ groups['slurmctld'] }}"
    job: true
    job_user: alice
    report_directory: reports
"""

RETURN = r"""
report:
  description: "The report: ok, url, slurm_version, api_versions, checks; after a failure the checks that failed."
  returned: when asked
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.verify.proof import ARGUMENTS, proof


def run(module: AnsibleModule) -> dict[str, Any]:
    """Ask and look; SlurmrestError where nothing could be asked. The action plugin judges it."""
    return proof(module.params)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "controllers": {"type": "list", "elements": "str"},
            "controller": {"type": "str"},
            "facts": {"type": "dict"},
            "scontrol": {"type": "bool"},
            "token_file": {"type": "str", "no_log": False},
            "job": {"type": "bool", "default": False},
            "job_timeout": {"type": "float", "default": 60},
            "instance": {"type": "str"},
            "urls": {"type": "list", "elements": "str", "default": []},
            "report_directory": {"type": "str"},
            "accounting": {"type": "bool"},
        },
        supports_check_mode=True,
        required_if=[("job", True, ("job_user",))],
    )
    finish(module, lambda: run(module))


if __name__ == "__main__":
    main()
