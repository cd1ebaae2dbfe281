"""What is known of Slurm and its programs."""
