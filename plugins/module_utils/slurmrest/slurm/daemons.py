"""Slurm's daemons by the names of their units."""

from __future__ import annotations

CONTROLLER, DATABASE = "slurmctld", "slurmdbd"


DAEMONS = ("slurmrestd", "slurmctld", "slurmdbd", "slurmd")
