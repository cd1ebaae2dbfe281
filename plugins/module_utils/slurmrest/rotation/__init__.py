"""A new JWT key for a whole cluster: one host's part, the order of all, and which tokens are accepted."""
