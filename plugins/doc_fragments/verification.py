# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""What slurmrestd_verify and slurmrestd_job are told."""

from __future__ import annotations


class ModuleDocFragment:
    """The options that these modules share."""

    DOCUMENTATION = r"""
options:
  told:
    description:
      - What is known of this host by its facts, and of releases of Slurm. Given by the action plugin of
        M(slurmrest.toolkit.slurmrestd_verify).
    type: dict
  user:
    description: "Administrator whose token is used: slurmdbd shows its statistics to no one else."
    type: str
    default: root
  token: {description: Token of O(user); given by the action plugin., type: str}
  job_user: {description: Ordinary user who submits the job., type: str}
  job_token: {description: Token of O(job_user); given by the action plugin., type: str}
  tls_cacert:
    description: File on this host with the authorities of listeners that speak TLS; those of the host by default.
    type: str
  tls_name: {description: "Name that their certificate must be for, where that is not the address.", type: str}
"""
