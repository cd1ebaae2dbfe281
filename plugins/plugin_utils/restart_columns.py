"""What an action plugin hands to a module that may restart slurmctld or slurmdbd."""

from __future__ import annotations

from ..module_utils.slurmrest.slurm.releases import excerpt
from ..module_utils.slurmrest.transaction.restart_columns import COLUMNS

RESTART_COLUMNS = {"columns": excerpt(*COLUMNS)}
"""Parameters: of the release table what decides whether a daemon comes back."""
