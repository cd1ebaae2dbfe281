"""A file, or a directory, as it is: what it holds, whose it is, and who may use it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from . import places
from .identity import group_name, owner_name


@dataclass(frozen=True)
class Present:
    """A file as it is now."""

    content: bytes
    owner: str
    group: str
    mode: int


def read_present(path: str) -> Present | None:
    """Content, owner, group and mode of a file; None where there is none. Raises UnsafePath as :mod:`.places`."""
    try:
        content, status = places.read_with_status(path)
    except FileNotFoundError:
        return None
    # Without bits that lend its owner's rights: no copy may have them.
    mode = stat.S_IMODE(status.st_mode) & ~(stat.S_ISUID | stat.S_ISGID)
    return Present(content, owner_name(status.st_uid), group_name(status.st_gid), mode)


def read_directory(path: str) -> tuple[str, str, int] | None:
    """Owner, group and mode of a directory; None where there is none. Raises UnsafePath as :mod:`.places`."""
    try:
        status = os.stat(places.real(path))
    except FileNotFoundError:
        return None
    if not stat.S_ISDIR(status.st_mode):
        return None
    return owner_name(status.st_uid), group_name(status.st_gid), stat.S_IMODE(status.st_mode)
