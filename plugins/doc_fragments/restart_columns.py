# Copyright: slurmrest-toolkit contributors
# Apache License 2.0 (see LICENSE)
"""What modules are told that may restart slurmctld or slurmdbd."""

from __future__ import annotations


class ModuleDocFragment:
    """The option that these modules share."""

    DOCUMENTATION = r"""
options:
  columns:
    description: Of the release table what decides about restarts. The action plugin says it.
    type: list
    elements: list
    default: []
"""
