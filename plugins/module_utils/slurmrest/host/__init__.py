"""The operating system of a host: programs, files, processes. It knows no Slurm."""
