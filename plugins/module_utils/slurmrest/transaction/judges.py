"""What a transaction that restarts slurmctld or slurmdbd is given to know of them."""

from __future__ import annotations

from .ping import KINDS, ping_error
from .restart_look import look_ahead
from .services import Judges

SLURM = Judges(look_ahead, ping_error, KINDS)
