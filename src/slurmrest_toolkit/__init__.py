"""Throwaway Slurm clusters in containers, deployed by this project's own playbooks (``slurmrest cluster …``)."""
