"""The daemon: what it binds, its unit, its account, and what must not be asked of it."""
