"""Which requests change something: not every GET of slurmrestd is a look. Pure."""

from __future__ import annotations

CHANGES_BY_GET = ("reconfigure", "requeue")
"""Ends of paths whose GET changes something. (Source: slurmrestd's OpenAPI documents; not each release has both.)"""


def changes(method: str, path: str) -> bool:
    """Whether a request, its path with or without a query, may change something."""
    last = path.partition("?")[0].rstrip("/").rpartition("/")[2].lower()
    return method.upper() not in ("GET", "HEAD", "OPTIONS") or last in CHANGES_BY_GET
