# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""What slurm_gather and slurm_gather_whole are told."""

from __future__ import annotations


class ModuleDocFragment:
    """The options that these modules share."""

    DOCUMENTATION = r"""
options:
  account: {description: Service account of slurmrestd., type: str, default: slurmrestd}
  slurmrestd: {description: "Path of the C(slurmrestd) binary, where it is not at a usual place.", type: path}
  roles:
    description: "What this host is there for, among slurmctld, slurmdbd and slurmrestd; by default what is enabled."
    type: list
    elements: str
    default: []
  listen: {description: Where clients expect slurmrestd., type: list, elements: str, default: []}
  users: {description: "Users to look up, in a look that is not quick.", type: list, elements: str, default: []}
  salt:
    description:
      - "Random text, the same for all hosts of a run: keys are compared by it without being shown, in a look that is
        not quick."
    type: str
  columns:
    description: Of the release table what decides how a configuration is read. The action plugin says it.
    type: list
    elements: list
    default: []
  groups: {description: Names of groups to look up., type: list, elements: str, default: []}
  keep_facts:
    description:
      - Whether to set the facts of M(slurmrest.toolkit.slurm_facts), too, with O(groups) and the UNIX sockets of
        O(listen) among them.
    type: bool
    default: false
"""
