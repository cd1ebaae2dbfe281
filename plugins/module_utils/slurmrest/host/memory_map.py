"""Files that a process has in its memory."""

from __future__ import annotations

from typing import Any

from .private import private


def mapped(pid: int, uid: int, gid: int) -> list[dict[str, Any]] | None:
    """The files that a process of that account has mapped to read and to share; None where nobody may look."""
    maps = private(pid, "maps", uid, gid)
    return None if maps is None else mapped_files(maps)


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
