"""Files and restarts that go live together or not at all, and what was there before."""
