# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""What slurm_jwks and slurm_jwks_change are told."""

from __future__ import annotations


class ModuleDocFragment:
    """The options that these modules share."""

    DOCUMENTATION = r"""
options:
  path: {description: The file of C(jwks=)., type: path, required: true}
  issuers:
    description: Whose keys.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: How messages call it., type: str, required: true}
      url: {description: "Its key set: https, or http on loopback.", type: str}
      ca_file: {description: "PEM certificates to trust for O(issuers[].url) instead of the host's.", type: path}
      file: {description: "A key set on the machine that Ansible runs on; its text is in O(documents).", type: str}
  documents: {description: "What is in each O(issuers[].file).", type: dict, default: {}}
  daemons:
    description: Daemons of this host that may run on the file, as for M(slurmrest.toolkit.host_transaction).
    type: list
    elements: dict
    default: []
  primary: {description: Whether slurmctld of this host is the primary controller., type: bool, default: false}
  consent:
    description: Whether daemons that run on the file may be made to load other keys; otherwise those in place stay.
    type: bool
    default: false
  timeout: {description: Seconds for each issuer., type: float, default: 15}
  program: {description: Where to write the program for a timer., type: path}
  settings: {description: "Where that program finds what to have; required with O(program).", type: path}
"""
