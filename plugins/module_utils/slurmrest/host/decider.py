"""Whose word a file is: what it has root read, and run, that account could have meant for itself."""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import Iterable

from .identity import account_facts
from .programs import NOBODY


def decider(files: Iterable[str]) -> int:
    """The account whose word files are: the first but root that owns one, or a link or directory on its way.

    0 where nobody but root can change them or put others in their place, and where the one who asks is not root.
    """
    for file in files if os.geteuid() == 0 else ():
        for place in (os.path.abspath(file), os.path.realpath(file)):
            uid = next(filter(None, _owners(place)), 0)
            if uid:
                return uid
    return 0


def _owners(path: str) -> list[int]:
    """Who owns a path, what it leads to, and every directory above."""
    found: list[int] = []
    while True:
        with contextlib.suppress(OSError):
            found += [os.lstat(path).st_uid, os.stat(path).st_uid]
        if path == "/":
            return found
        path = posixpath.dirname(path)


def groups_of(uid: int) -> tuple[int, list[int]]:
    """The group of an account and its further ones, by number; those of nobody where there is no such account."""
    facts = account_facts(str(uid))
    return (facts["gid"], facts["gids"]) if facts["exists"] else (NOBODY, [])
