"""What a transaction that restarts slurmctld or slurmdbd is given to know of them."""

from __future__ import annotations

from ..slurm.version import Excerpt
from .ping import KINDS, ping_error
from .restart_evidence import look_ahead
from .services import Judges


def judges(table: Excerpt) -> Judges:
    """Services restarted, and asked until they answer.

    Args:
        table: :data:`.restart_columns.COLUMNS` of the release table.
    """
    return Judges(lambda services, run, texts: look_ahead(services, run, table, texts), ping_error, KINDS)
