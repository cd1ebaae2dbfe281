"""What of a process its own user alone may read in /proc: read as that user where root may not."""

from __future__ import annotations

import os

from . import programs
from .proc import read_text


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


def _as_owner(command: list[str], uid: int, gid: int) -> str | None:
    done = programs.run(command, limit=programs.LOOKING_SECONDS, user=uid, group=gid, extra_groups=[])
    return done.stdout if done.returncode == 0 else None
