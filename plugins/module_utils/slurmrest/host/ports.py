"""Which accounts listen on TCP ports of this host."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TABLES = {socket.AF_INET: "/proc/net/tcp", socket.AF_INET6: "/proc/net/tcp6"}
LISTENING = 1 << 10
"""The states of sockets that the kernel is asked for."""

_LISTEN = "0A"  # of the fourth column of /proc/net/tcp
_SOCK_DIAG, _BY_FAMILY, _DUMP, _DONE, _INTERRUPTED = 4, 20, 0x301, 3, 0x10
_HEAD, _ASKED = struct.Struct("=IHHII"), struct.Struct("=BBHIH46x")


def listening_ports(ports: Iterable[int]) -> Iterator[dict[str, Any]]:
    """Who listens on these TCP ports, by account and by the number of the socket.

    The kernel is asked for these alone (sock_diag(7)): for /proc/net/tcp it goes through half a million places of
    connections, which takes milliseconds each time. That is read where it does not answer.
    """
    wanted = set(ports)
    for family, table in TABLES.items():
        try:
            found = list(_asked(family, *(wanted if len(wanted) == 1 else ())))
        except OSError:
            found = list(_read(table))
        for host, port, uid, inode in found:
            if port in wanted:
                yield {"kind": "tcp", "host": host, "port": port, "path": "", "uid": uid, "inode": inode}


def _asked(family: int, port: int = 0) -> Iterator[tuple[str, int, int, int]]:
    """Host, port, account and number of each socket that listens. Raises OSError where that was not told wholly."""
    for one in told(_ASKED.pack(family, socket.IPPROTO_TCP, 0, LISTENING, socket.htons(port))):
        host = socket.inet_ntop(family, one[8 : 12 if family == socket.AF_INET else 24])
        yield host, int.from_bytes(one[4:6], "big"), *struct.unpack_from("=II", one, 64)


def told(asked: bytes) -> Iterator[bytes]:
    """What the kernel tells of each socket that it is asked for (sock_diag(7)). Raises OSError where it is not all."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
        kernel.settimeout(1)
        kernel.send(_HEAD.pack(_HEAD.size + len(asked), _BY_FAMILY, _DUMP, 1, 0) + asked)
        while True:
            data, _more, flags, _sender = kernel.recvmsg(1 << 18)
            at = 0
            while at < len(data):
                size, kind, marks, _number, _process = _HEAD.unpack_from(data, at)
                if kind == _DONE:
                    return
                if kind != _BY_FAMILY or marks & _INTERRUPTED or flags & socket.MSG_TRUNC:
                    raise OSError
                yield data[at + _HEAD.size : at + size]
                at += (size + 3) & ~3


def _read(table: str) -> Iterator[tuple[str, int, int, int]]:
    for line in rows(table):
        fields = line.split()
        host, _, port = fields[1].partition(":") if len(fields) > 9 else ("", "", "")
        if port and fields[3] == _LISTEN:
            yield _address(host), int(port, 16), int(fields[7]), int(fields[9])


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
