"""Reading what the programs of the site read themselves: its links are followed, whoever made them.

For looking only, never for what is copied or written elsewhere (:mod:`.files`). What is read is a regular file, opened
without waiting, and of a bounded size.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator

from ..errors import SlurmrestError

MAXIMUM_BYTES = 64 << 20
"""Of a file that is read whole; the greatest ones are package lists."""

ACL_ATTRIBUTE = "system.posix_acl_access"
"""What holds an access control list, acl(5)."""

_PROC = "/proc/"

_POINTING = os.O_PATH | os.O_CLOEXEC

READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class UnsafePath(SlurmrestError):
    """Another account could lead us elsewhere by this path, or lets us wait; nothing was done."""


def insist_on_a_file(path: str, status: os.stat_result) -> None:
    """Raise UnsafePath for anything but a regular file: opening a device may already do something."""
    if not stat.S_ISREG(status.st_mode):
        raise UnsafePath(
            f"{path} is {kind_of(status.st_mode)} of {who(status.st_uid)}. Allowed: a regular file.",
            "Look at it, and move it away.",
        )


def read_site(path: str, limit: int = MAXIMUM_BYTES) -> bytes:
    """Content of a file that the site's own programs read by this path: its links are followed, whoever made them.

    Raises UnsafePath for what is no regular file or over ``limit``, and what the system says.
    """
    if os.path.normpath(path).startswith(_PROC):
        raise UnsafePath(f"{path} is in {_PROC}, where reading may take something away. Allowed: a file of the site.")
    descriptor = _opened(path)
    try:
        return content_of(descriptor, path, limit)
    finally:
        os.close(descriptor)


def _opened(path: str) -> int:
    """A descriptor of a regular file, whose links are followed. What it is, is known before it is opened for reading.

    A file of /proc that others lead to is none: reading it may take away what it says.
    """
    pointer = os.open(path, _POINTING)
    try:
        status = os.fstat(pointer)
        insist_on_a_file(path, status)
        if not path.startswith(_PROC) and status.st_dev == os.stat(_PROC).st_dev:
            raise UnsafePath(f"{path} leads into {_PROC}. Allowed: a regular file.", "Look at it, and move it away.")
        return os.open(f"{_PROC}self/fd/{pointer}", READING & ~os.O_NOFOLLOW)
    finally:
        os.close(pointer)


def read_if_there(path: str) -> str | None:
    """Text of a file of the site as it is, None where there is no such file; PermissionError passes."""
    try:
        return read_site(path).decode("utf-8", "replace")
    except PermissionError:
        raise
    except (OSError, UnsafePath):
        return None


def read_beginning(path: str, limit: int, *, end: bool = False, owner: int | None = None) -> bytes | None:
    """The first (with ``end`` the last) ``limit`` bytes of a file of the site; None where it cannot be read.

    With ``owner`` also where it is another account's.
    """
    try:
        descriptor = _opened(path)
    except (OSError, UnsafePath):
        return None
    try:
        status = os.fstat(descriptor)
        if owner not in (None, status.st_uid):
            return None
        if end:
            os.lseek(descriptor, max(0, status.st_size - limit), os.SEEK_SET)
        return b"".join(_chunks(descriptor, limit))
    except OSError:
        return None
    finally:
        os.close(descriptor)


def content_of(descriptor: int, path: str, limit: int) -> bytes:
    """The rest of an open file. Raises UnsafePath for more than ``limit`` bytes."""
    content = b"".join(_chunks(descriptor, limit + 1))
    if len(content) > limit:
        raise UnsafePath(f"{path} has more than {limit} bytes, and is not read. Allowed: up to {limit} bytes.")
    return content


def _chunks(descriptor: int, limit: int) -> Iterator[bytes]:
    left = limit
    while left > 0:
        chunk = os.read(descriptor, min(left, 1 << 20))
        if not chunk:
            return
        left -= len(chunk)
        yield chunk


def who(uid: int) -> str:
    """An account as messages name it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def kind_of(mode: int) -> str:
    """What something is, in words."""
    kinds = (
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a character device"),
        (stat.S_ISBLK, "a block device"),
    )
    return next((words for test, words in kinds if test(mode)), "no regular file")


def readable_text(path: str) -> str:
    """Text of a file, nothing where there is none or it may not be read."""
    try:
        return read_if_there(path) or ""
    except PermissionError:
        return ""


def names_in(directory: str) -> list[str]:
    """What is in a directory; nothing where it is not there or may not be read."""
    try:
        return os.listdir(directory)
    except OSError:
        return []
