"""Addresses of https."""

from __future__ import annotations

from urllib.parse import urlsplit


def is_https(url: str) -> bool:
    """Whether an address is one of https, with a host and without a user in it."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        return False
