"""Benchmarks of this project beside doing the same by hand, and beside the daemons' own start."""
