"""nginx in front of slurmrestd: what a site may ask of it, what its host allows, its text tried before it is live."""
