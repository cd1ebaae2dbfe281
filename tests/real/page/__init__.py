"""The example page in a browser."""
