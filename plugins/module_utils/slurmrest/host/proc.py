"""Processes to look into: /proc, read as the process's own user where root alone may not."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from . import programs
from .reading import read_beginning

if TYPE_CHECKING:
    from collections.abc import Sequence

_IDS = ("Uid", "Gid", "Groups")


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


def _variables(text: str) -> dict[str, str]:
    pairs = (item.partition("=") for item in text.split("\0") if item)
    return {name: value for name, _, value in pairs}
