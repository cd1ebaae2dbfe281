"""Whether other hosts can be connected to, without waiting for a resolver for ever. Nothing is sent."""

from __future__ import annotations

import threading
from typing import Any

from ..host.network import connect

LOCAL = ("localhost", "127.0.0.1", "::1")
"""How a host is told that it is meant itself."""

REACH_SECONDS = 20.0
"""Enough for three addresses that drop packets; a resolver whose servers are dead tries for a minute."""


def reach(name: str, port: str) -> dict[str, Any]:
    """What :func:`..host.network.connect` finds, or that it found nothing in time."""
    found: dict[str, Any] = {}
    asking = threading.Thread(target=lambda: found.update(connect(name, port)), daemon=True)
    asking.start()
    asking.join(REACH_SECONDS)
    return dict(found) or {"addresses": [], "error": f"cannot be resolved within {REACH_SECONDS:.0f} s"}
