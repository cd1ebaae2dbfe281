"""Requests to slurmrestd and what its answers mean."""
