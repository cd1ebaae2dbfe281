"""What is known of Slurm itself: its releases, packages, programs and configuration files."""
