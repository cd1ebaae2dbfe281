"""A new JWT key on real clusters: the change itself, hosts that refuse it, runs that are killed."""
