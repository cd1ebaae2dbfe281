# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""What slurm_conf_merge and slurm_conf_merge_change are told."""

from __future__ import annotations


class ModuleDocFragment:
    """The options that these modules share."""

    DOCUMENTATION = r"""
options:
  parts:
    description: The configurations of this host.
    type: list
    elements: dict
    default: []
    suboptions:
      kind:
        description:
          - C(slurmctld) for a slurm.conf whose slurmctld runs here, C(copy) for one that only has to be the same.
        type: str
        choices: [slurmdbd, slurmctld, copy]
        required: true
      path: {description: Path of the main file., type: path, required: true}
  jwt_key: {description: Path of the key for files that name none; empty for no HS256 key., type: path}
  parameters:
    description: Further items of C(AuthAltParameters); what an earlier run added and is not among them goes.
    type: list
    elements: str
    default: []
  replace_key: {description: Put O(jwt_key) in the place of a key that a file names., type: bool, default: false}
  state: {description: Whether the lines shall be there., type: str, choices: [present, absent], default: present}
  bare_jwt: {description: Whether the release takes C(jwt) for C(auth/jwt)., type: bool, default: false}
  beside_includer:
    description: Whether the release looks for a relative C(Include) beside the file that includes it.
    type: bool
    default: false
  auth_alt_items:
    description: What the release reads item by item in C(AuthAltParameters); of the rest it finds the name anywhere.
    type: list
    elements: str
    default: [jwt_key, jwks, userclaimfield]
  communication: {description: Items of C(CommunicationParameters)., type: list, elements: str, default: []}
  prefix: {description: Where Slurm is installed., type: path, default: /usr}
  allow_state_loss:
    description: Whether a restart may take what only the memory of slurmctld has.
    type: bool
    default: false
"""
