"""Processes to look into: what /proc says of them to everybody."""

from __future__ import annotations

import re

from .programs import NOBODY
from .reading import read_beginning

Account = tuple[int, int, list[int]]
"""Uid, gid and further groups."""

_SERVICE = re.compile(r"[\w:.@\\-]+\.service")
_IDS = ("Uid", "Gid", "Groups")


def read_text(path: str, limit: int = 1 << 20) -> str | None:
    """The beginning of a text file; None where it cannot be read."""
    content = read_beginning(path, limit)
    return None if content is None else content.decode("utf-8", "replace")


def unit_of(pid: int) -> str:
    """The service of systemd that a process belongs to, by its control group; empty where it is of none."""
    for line in (read_text(f"/proc/{pid}/cgroup") or "").splitlines():
        services = [part for part in line.split("/") if _SERVICE.fullmatch(part)]
        if services:
            return services[-1]
    return ""


def whose(pid: int) -> Account | None:
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


def all_the_while(before: Account | None, pid: int) -> Account:
    """The account whose word is what was read of a process since ``before``, which :func:`whose` gave.

    While it is looked at, a process may become a set-user-ID program that is wholly root's, as sudo(8) that waits for a
    password: what was read before is still another's. Nobody's where it is not known.
    """
    after = whose(pid)
    if before is None or after is None:
        return NOBODY, NOBODY, []
    return before if before[0] else after
