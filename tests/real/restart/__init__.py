"""A cluster that works and would not come back from a restart: nothing may be what ends it."""
