"""Proving over HTTP that a slurmrestd works, and saying so in several forms."""
