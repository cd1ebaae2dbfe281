"""Slurm's daemons by the names of their units."""

from __future__ import annotations

CONTROLLER, DATABASE = "slurmctld", "slurmdbd"

SLURM_FALLBACK_KEY = "jwt_hs256.key"
"""What slurmctld looks for beside its state where no jwt_key= names a file."""

SLURMCTLD_TIMEOUT = 120
"""Seconds, where slurm.conf has no SlurmctldTimeout."""

DAEMONS = ("slurmrestd", "slurmctld", "slurmdbd", "slurmd")
