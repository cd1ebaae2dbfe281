"""Slurm's daemons by the names of their units."""

from __future__ import annotations

CONTROLLER, DATABASE = "slurmctld", "slurmdbd"

SLURMCTLD_TIMEOUT = 120
"""Seconds, where slurm.conf has no SlurmctldTimeout."""

DAEMONS = ("slurmrestd", "slurmctld", "slurmdbd", "slurmd")

STARTING_SECONDS = 180.0
"""Age up to which a daemon is waited for, and up to which a host is on which one does not run yet."""
