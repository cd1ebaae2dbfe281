"""The pytest plugin: Slurm clusters with a REST API as fixtures."""
