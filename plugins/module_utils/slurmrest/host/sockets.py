"""Who listens on this host: its TCP ports and UNIX sockets, and the processes behind them."""

from __future__ import annotations

import contextlib
import glob
import os
import posixpath
import re
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

from . import programs
from .ports import LISTENING, listening_ports, rows, told
from .proc import read_text, whose

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping


TABLE = "/proc/net/unix"
ONE_SECONDS = 1.0
"""For what is asked as the owner of a process, who may stop who asks; all together get LOOKING_SECONDS."""

_ASKED, _TOLD, _PART = struct.Struct("=BBHIII8x"), struct.Struct("=4xI8x"), struct.Struct("=HH")
_SHOWN = 0x41  # of unix_diag: name and account
_NAME, _ACCOUNT = 0, 7
_FLAG = 0x10000  # of the flags of /proc/net/unix
_SOCKET = re.compile(
    r"^[0-9a-fA-F]+: [0-9A-F]{8} [0-9A-F]{8} (?P<flags>[0-9A-F]{8}) [0-9A-F]{4} [0-9A-F]{2} +"
    r"(?P<inode>\d{1,20}) (?P<path>.+)$"
)


def listening_sockets(wanted: Mapping[str, Iterable[Any]]) -> list[dict[str, Any]]:
    """Who listens on ``{"tcp": ports, "unix": paths}``: what nobody can tell of ``uid``, ``pid``, ``program`` is None.

    The path of a socket is what its account called it, which may have a mount namespace of its own.
    """
    found = [entry for kind, which in wanted.items() if kind in LOOKS for entry in LOOKS[kind](which)]
    owners = _owners({entry["inode"] for entry in found}, {entry["uid"] for entry in found})
    for entry in found:
        entry["pid"], entry["program"] = owners.get(entry.pop("inode"), (None, None))
        if entry["uid"] is None and entry["pid"]:  # a kernel before 5.3, or its table
            entry["uid"] = (whose(entry["pid"]) or (None,))[0]
    return found


def _listening_paths(paths: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The kernel tells each name by itself; in its table a name with line breaks has lines as others have.

    There anybody can have a line be what he likes. It is read where the kernel does not answer.
    """
    wanted = set(paths)
    try:
        found = list(_asked())
    except OSError:
        found = list(_read())
    for name, uid, inode in found:
        if name in wanted:
            yield {"kind": "unix", "host": "", "port": 0, "path": name, "uid": uid, "inode": inode}


def _asked() -> Iterator[tuple[str, int | None, int]]:
    """Name, account and number of each socket that listens; the name of an abstract one begins with no path."""
    for one in told(_ASKED.pack(socket.AF_UNIX, 0, 0, LISTENING, 0, _SHOWN)):
        parts, at = {}, _TOLD.size
        while at + _PART.size <= len(one):
            size, kind = _PART.unpack_from(one, at)
            parts[kind] = one[at + _PART.size : at + size]
            at += max(_PART.size, (size + 3) & ~3)
        uid = parts.get(_ACCOUNT)
        name = parts.get(_NAME, b"").partition(b"\0")[0].decode("utf-8", "replace")
        yield name, None if uid is None else struct.unpack("=I", uid)[0], _TOLD.unpack_from(one)[0]


def _read() -> Iterator[tuple[str, None, int]]:
    for match in filter(None, map(_SOCKET.match, rows(TABLE))):
        if int(match["flags"], 16) & _FLAG:
            yield match["path"], None, int(match["inode"])


LOOKS: Mapping[str, Callable[[Iterable[Any]], Iterable[Any]]] = {"tcp": listening_ports, "unix": _listening_paths}


def _owners(inodes: Iterable[int], uids: Collection[int | None]) -> Mapping[int, tuple[int, str]]:
    """Process of each socket, from the descriptors of every process that may be looked into."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[int, tuple[int, str]] = {}
    deadline = time.monotonic() + programs.LOOKING_SECONDS
    for directory in glob.glob("/proc/[0-9]*/fd"):
        pid = int(directory.split("/")[2])
        for target in _descriptors(directory, uids, deadline):
            if target in wanted:
                found[wanted[target]] = (pid, (read_text(f"/proc/{pid}/comm") or "?").strip())
    return found


def _descriptors(directory: str, uids: Collection[int | None], deadline: float) -> list[str]:
    found = []
    try:
        for name in os.listdir(directory):
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(f"{directory}/{name}"))
    except PermissionError:  # of the directory, or, for root in a container, only of the links in it
        return _descriptors_as_owner(directory, uids, deadline)
    except OSError:
        return []
    return found


def _descriptors_as_owner(directory: str, uids: Collection[int | None], deadline: float) -> list[str]:
    """Nothing once the time for all of them is over: whoever listens may have any number of processes."""
    left = deadline - time.monotonic()
    try:
        owner = os.stat(posixpath.dirname(directory))
    except OSError:
        return []
    if os.geteuid() != 0 or owner.st_uid not in uids or left <= 0:
        return []
    command = ["find", directory, "-lname", "socket:*", "-printf", "%l\\n"]
    who: dict[str, Any] = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    return programs.run(command, limit=min(ONE_SECONDS, left), **who).stdout.split()
