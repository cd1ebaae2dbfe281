"""Whether other hosts can be connected to; nothing is sent."""

from __future__ import annotations

import socket
from typing import Any

CONNECT_SECONDS = 2.0
MOST_ADDRESSES = 3


def connect(name: str, port: str | int) -> dict[str, Any]:
    """Addresses, and why none of them takes a connection; an empty ``error`` where one does."""
    try:
        found = socket.getaddrinfo(name, int(port), type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        return {"addresses": [], "error": f"cannot be resolved: {getattr(error, 'strerror', None) or error}"}
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    errors = []
    for address in addresses[:MOST_ADDRESSES]:
        errors.append(_refusal(address, int(port)))
        if not errors[-1]:
            return {"addresses": addresses, "error": ""}
    return {"addresses": addresses, "error": errors[-1] if errors else "has no address"}


def _refusal(address: str, port: int) -> str:
    try:
        socket.create_connection((address, port), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""
