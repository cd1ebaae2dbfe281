"""``slurmrest cluster``: one file a command."""
