"""Processes to look into: /proc, read as the process's own user where root alone may not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from . import programs
from .reading import read_beginning

if TYPE_CHECKING:
    from collections.abc import Sequence

_IDS = ("Uid", "Gid", "Groups")


def read_text(path: str, limit: int = 1 << 20) -> str | None:
    """The beginning of a text file; None where it cannot be read."""
    content = read_beginning(path, limit)
    return None if content is None else content.decode("utf-8", "replace")


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
