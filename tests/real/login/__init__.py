"""The sandbox of the shipped unit, in force."""
