"""Which accounts listen on TCP ports of this host."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Any

from .proc import read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LISTEN = "0A"  # of the fourth column of /proc/net/tcp


def listening_ports(ports: Iterable[int]) -> Iterator[dict[str, Any]]:
    """Who listens on these TCP ports, by account and by the number of the socket."""
    wanted = set(ports)
    for family in ("tcp", "tcp6"):
        for line in (read_text(f"/proc/net/{family}") or "").splitlines()[1:]:
            fields = line.split()
            host, _, port = fields[1].partition(":") if len(fields) > 9 else ("", "", "")
            if port and fields[3] == _LISTEN and int(port, 16) in wanted:
                where = {"kind": "tcp", "host": _address(host), "port": int(port, 16), "path": ""}
                yield {**where, "uid": int(fields[7]), "inode": int(fields[9])}


def _address(text: str) -> str:
    """An address of /proc/net/tcp: 32-bit words in the byte order of the host."""
    raw = bytes.fromhex(text)
    if sys.byteorder == "little":
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)
