"""Which accounts listen on TCP ports of this host."""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTEN = "0A"  # of the fourth column of /proc/net/tcp


def listening_ports(ports: Iterable[int]) -> Iterator[dict[str, Any]]:
    """Who listens on these TCP ports, by account and by the number of the socket."""
    wanted = set(ports)
    for table in TABLES:
        for line in rows(table):
            fields = line.split()
            host, _, port = fields[1].partition(":") if len(fields) > 9 else ("", "", "")
            if port and fields[3] == _LISTEN and int(port, 16) in wanted:
                where = {"kind": "tcp", "host": _address(host), "port": int(port, 16), "path": ""}
                yield {**where, "uid": int(fields[7]), "inode": int(fields[9])}


def rows(table: str) -> Iterator[str]:
    """All of a table of the kernel's, however long others make it: who is beyond its beginning listens nevertheless."""
    with contextlib.suppress(OSError), open(table, encoding="utf-8", errors="replace", newline="\n") as stream:
        next(stream, "")
        yield from stream


def _address(text: str) -> str:
    """An address of /proc/net/tcp: 32-bit words in the byte order of the host."""
    raw = bytes.fromhex(text)
    if sys.byteorder == "little":
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)
