"""What a host has of Slurm: its programs, units, files and accounts, read once."""
