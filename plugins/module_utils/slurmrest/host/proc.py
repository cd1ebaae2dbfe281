"""Processes to look into: /proc, read as the process's own user where root alone may not."""

from __future__ import annotations

import contextlib
import glob
import os
import posixpath
import re
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

from . import programs
from .files import read_beginning

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

_IDS = ("Uid", "Gid", "Groups")
_LISTEN = "0A"  # of the fourth column of /proc/net/tcp
_LISTENING = 0x10000  # of the flags of /proc/net/unix
_SOCKET = re.compile(
    r"^[0-9a-fA-F]+: [0-9A-F]{8} [0-9A-F]{8} (?P<flags>[0-9A-F]{8}) [0-9A-F]{4} [0-9A-F]{2} +"
    r"(?P<inode>\d{1,20}) (?P<path>.+)$",
    re.MULTILINE,
)


def read_text(path: str, limit: int = 1 << 20) -> str | None:
    """The beginning of a text file; None where it cannot be read."""
    content = read_beginning(path, limit)
    return None if content is None else content.decode("utf-8", "replace")


def process(pid: int) -> dict[str, Any] | None:
    """One process: ids, age in seconds, command line, environment, and the files it has mapped to read and to share.

    ``environment`` and ``mapped`` are None where nobody may look; the whole is None when the process is gone.
    """
    lines = (line.partition(":") for line in (read_text(f"/proc/{pid}/status") or "").splitlines())
    status = {name: value.split() for name, _, value in lines}
    stat = read_text(f"/proc/{pid}/stat")
    if stat is None or "Uid" not in status:
        return None
    ticks = int(stat.rpartition(")")[2].split()[19])
    uid, gid = int(status["Uid"][1]), int(status["Gid"][1])
    environment = private(pid, "environ", uid, gid)
    maps = private(pid, "maps", uid, gid)
    return {
        "pid": pid,
        "uid": uid,
        "gid": gid,
        "gids": [int(word) for word in status.get("Groups", [])],
        "age": round(time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"), 1),
        "command": [word for word in (read_text(f"/proc/{pid}/cmdline") or "").split("\0") if word],
        "environment": None if environment is None else _variables(environment),
        "mapped": None if maps is None else mapped_files(maps),
    }


def whose(pid: int) -> tuple[int, int, list[int]] | None:
    """The account that can make a process be what it likes: uid, gid and further groups; None when it is gone.

    Of a set-user-ID program that is who started it: command line and environment are that account's words, not root's.
    """
    lines = (line.partition(":") for line in (read_text(f"/proc/{pid}/status") or "").splitlines())
    status = {name: [int(word) for word in value.split()] for name, _, value in lines if name in _IDS}
    if not {"Uid", "Gid"} <= set(status):
        return None
    uids, gids = status["Uid"], status["Gid"]
    at = next((number for number, uid in enumerate(uids) if uid != 0), 0)
    return uids[at], gids[at], status.get("Groups", [])


def private(pid: int, name: str, uid: int, gid: int) -> str | None:
    """A file of /proc that only the process's user may read; in containers not even root. None where it is denied."""
    path = f"/proc/{pid}/{name}"
    text = read_text(path)
    return text if text is not None or os.geteuid() != 0 else _as_owner(["cat", path], uid, gid)


def link(pid: int, name: str, uid: int, gid: int) -> str | None:
    """Where a link of /proc leads, such as ``ns/mnt``; read as the process's user where root may not."""
    path = f"/proc/{pid}/{name}"
    try:
        return os.readlink(path)
    except OSError:
        found = _as_owner(["readlink", path], uid, gid) if os.geteuid() == 0 else None
        return found.strip() if found else None


def _as_owner(command: Sequence[str], uid: int, gid: int) -> str | None:
    done = programs.run(command, limit=programs.LOOKING_SECONDS, user=uid, group=gid, extra_groups=[])
    return done.stdout if done.returncode == 0 else None


def mapped_files(maps: str) -> list[dict[str, Any]]:
    """Files of a /proc/PID/maps that are mapped read-only and shared, as Slurm does with its keys.

    ``deleted``: the path leads to another file by now, or to none.
    """
    found = {}
    for line in maps.splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6 and fields[1] == "r--s" and fields[5].startswith("/"):
            path, deleted, _ = fields[5].partition(" (deleted)")
            found[path] = {"path": path, "inode": int(fields[4]), "deleted": bool(deleted)}
    return list(found.values())


def listening_sockets(ports: Iterable[int], paths: Iterable[str]) -> list[dict[str, Any]]:
    """Who listens on these ports and socket paths: ``pid`` and ``program`` are None where nobody can tell."""
    wanted_ports, wanted_paths = set(ports), set(paths)
    found = [entry for entry in _tcp() if entry["port"] in wanted_ports]
    found += [entry for entry in _unix() if entry["path"] in wanted_paths]
    owners = _owners({entry["inode"] for entry in found}, {entry["uid"] for entry in found})
    for entry in found:
        entry["pid"], entry["program"] = owners.get(entry.pop("inode"), (None, None))
    return found


def _variables(text: str) -> dict[str, str]:
    pairs = (item.partition("=") for item in text.split("\0") if item)
    return {name: value for name, _, value in pairs}


def _tcp() -> Iterator[dict[str, Any]]:
    for family in ("tcp", "tcp6"):
        for line in (read_text(f"/proc/net/{family}") or "").splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == _LISTEN:
                host, _, port = fields[1].partition(":")
                where = {"kind": "tcp", "host": _address(host), "port": int(port, 16), "path": ""}
                yield {**where, "uid": int(fields[7]), "inode": int(fields[9])}


def _address(text: str) -> str:
    """An address of /proc/net/tcp: 32-bit words in the byte order of the host."""
    raw = bytes.fromhex(text)
    if sys.byteorder == "little":
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def _unix() -> Iterator[dict[str, Any]]:
    # A path may have line breaks in it, whoever's it is: what begins no line of the kernel's is passed over.
    for match in _SOCKET.finditer(read_text("/proc/net/unix") or ""):
        if int(match["flags"], 16) & _LISTENING:
            socket_of = {"kind": "unix", "host": "", "port": 0, "path": match["path"], "uid": None}
            yield {**socket_of, "inode": int(match["inode"])}


def _owners(inodes: Iterable[int], uids: Collection[int | None]) -> Mapping[int, tuple[int, str]]:
    """Process of each socket, from the descriptors of every process that may be looked into."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[int, tuple[int, str]] = {}
    for directory in glob.glob("/proc/[0-9]*/fd"):
        pid = int(directory.split("/")[2])
        for target in _descriptors(directory, uids):
            if target in wanted:
                found[wanted[target]] = (pid, (read_text(f"/proc/{pid}/comm") or "?").strip())
    return found


def _descriptors(directory: str, uids: Collection[int | None]) -> list[str]:
    found = []
    try:
        for name in os.listdir(directory):
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(f"{directory}/{name}"))
    except PermissionError:  # of the directory, or, for root in a container, only of the links in it
        return _descriptors_as_owner(directory, uids)
    except OSError:
        return []
    return found


def _descriptors_as_owner(directory: str, uids: Collection[int | None]) -> list[str]:
    try:
        owner = os.stat(posixpath.dirname(directory))
    except OSError:
        return []
    if os.geteuid() != 0 or owner.st_uid not in uids:
        return []
    command = ["find", directory, "-lname", "socket:*", "-printf", "%l\\n"]
    who: dict[str, Any] = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    return programs.run(command, limit=programs.LOOKING_SECONDS, **who).stdout.split()
