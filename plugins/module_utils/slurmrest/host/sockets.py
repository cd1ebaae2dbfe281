"""Who listens on this host: its TCP ports and UNIX sockets, and the processes behind them."""

from __future__ import annotations

import contextlib
import glob
import os
import posixpath
import re
import time
from typing import TYPE_CHECKING, Any

from . import programs
from .ports import listening_ports, rows
from .proc import read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping


TABLE = "/proc/net/unix"
ONE_SECONDS = 1.0
"""For what is asked as the owner of a process, who may stop who asks; all together get LOOKING_SECONDS."""

_LISTENING = 0x10000  # of the flags of /proc/net/unix
_SOCKET = re.compile(
    r"^[0-9a-fA-F]+: [0-9A-F]{8} [0-9A-F]{8} (?P<flags>[0-9A-F]{8}) [0-9A-F]{4} [0-9A-F]{2} +"
    r"(?P<inode>\d{1,20}) (?P<path>.+)$"
)


def listening_sockets(wanted: Mapping[str, Iterable[Any]]) -> list[dict[str, Any]]:
    """Who listens on ``{"tcp": ports, "unix": paths}``: ``pid`` and ``program`` are None where nobody can tell."""
    found = [entry for kind, which in wanted.items() if kind in LOOKS for entry in LOOKS[kind](which)]
    owners = _owners({entry["inode"] for entry in found}, {entry["uid"] for entry in found})
    for entry in found:
        entry["pid"], entry["program"] = owners.get(entry.pop("inode"), (None, None))
    return found


def _listening_paths(paths: Iterable[str]) -> Iterator[dict[str, Any]]:
    wanted = set(paths)
    # A path may have line breaks in it, whoever's it is: what begins no line of the kernel's is passed over.
    for match in filter(None, map(_SOCKET.match, rows(TABLE))):
        if int(match["flags"], 16) & _LISTENING and match["path"] in wanted:
            socket_of = {"kind": "unix", "host": "", "port": 0, "path": match["path"], "uid": None}
            yield {**socket_of, "inode": int(match["inode"])}


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
