"""The operating system of a host: its files and programs. Nothing here knows of Slurm."""
