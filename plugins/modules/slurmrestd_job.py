#!/usr/bin/python
# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""Prove that jobs run over the slurmrestd of this host (entry file; see module_utils/slurmrest/verify/jobs.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slurmrestd_job
short_description: Submit a short job over slurmrestd, follow it to its end, and cancel another one
description:
  - For M(slurmrest.toolkit.slurmrestd_verify) with its O(slurmrest.toolkit.slurmrestd_verify#module:job=true), whose
    action plugin says what is meant and judges what is found. Does nothing in check mode.
extends_documentation_fragment: [slurmrest.toolkit.verification]
options:
  job_timeout: {description: Seconds until the job must have ended., type: float, default: 60}
attributes:
  check_mode: {support: full, description: Submits no job.}
author: slurmrest-toolkit contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Have a job run, with what is known of the host
  slurmrest.toolkit.slurmrestd_job:
    told: "{{ told }}"
    token: "{{ token }}"
    job_user: alice
    job_token: "{{ token }}"
"""

RETURN = r"""
record: {description: What was found., returned: always, type: dict}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slurmrest.ansible_module import finish
from ..module_utils.slurmrest.rest.session import JobOptions
from ..module_utils.slurmrest.verify import checks, jobs
from ..module_utils.slurmrest.verify.on_host import ARGUMENTS, asked
from ..module_utils.slurmrest.verify.record import recorded

CHECKS = (*checks.FIRST, *jobs.CHECKS)


def run(module: AnsibleModule) -> dict[str, Any]:
    """Ask; SlurmrestError where nothing could be asked."""
    job = None if module.check_mode else JobOptions(timeout=module.params["job_timeout"])
    return {"record": recorded(asked(dict(module.params), CHECKS, job))}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={**ARGUMENTS, "job_timeout": {"type": "float", "default": 60}}, supports_check_mode=True
    )
    finish(module, lambda: run(module))


if __name__ == "__main__":
    main()
