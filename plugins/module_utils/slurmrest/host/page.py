"""What a page of a daemon's own says in its first line."""

from __future__ import annotations

import re
import socket
import time

_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})\b")
_BYTES = 256


def page_status(host: str, port: int, path: str, seconds: float) -> int | None:
    """The status of a page over HTTP; None where none comes in time.

    No more than the first line is read, and that ends after so many seconds: whoever listens there could go on sending.
    """
    deadline, head = time.monotonic() + seconds, b""
    try:
        with socket.create_connection((host, port), seconds) as asked:
            asked.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
            while b"\n" not in head and len(head) < _BYTES:
                asked.settimeout(max(deadline - time.monotonic(), 0.001))
                piece = asked.recv(_BYTES)
                if not piece:
                    break
                head += piece
    except (OSError, ValueError, OverflowError):
        return None
    found = _STATUS.match(head)
    return int(found[1]) if found else None
