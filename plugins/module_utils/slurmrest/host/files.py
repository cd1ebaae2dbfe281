"""Every write, mode change and removal of this toolkit, in places of any account: :mod:`.places` leads there.

What is written is a new file that takes the name by rename, and owner and mode are given to descriptors.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Mapping
from typing import Any

from .places import directory, opened, parent, read, read_with_status, real, status
from .reading import ACL_ATTRIBUTE, UnsafePath, insist_on_a_file

__all__ = [
    "have_directory",
    "have_parents",
    "link_beside",
    "make_directory",
    "names",
    "open_lock",
    "read",
    "read_with_status",
    "real",
    "remove",
    "remove_directory",
    "rename_beside",
    "save_record",
    "status",
    "take_over",
    "write",
]


def write(
    path: str, content: bytes, uid: int, gid: int, mode: int, *, copy_of: str | None = None, secret: bool = False
) -> None:
    """Replace ``path`` by rename: readers (and daemons that map it) see the old file or the new one.

    A link in its place is replaced, not followed (:func:`real` follows those of root). Access control list, security
    label and the like stay those of the file there; ``copy_of`` names another one to take them from, with its times.
    A ``secret`` gets no access control list, neither that of the former file nor the default one of its directory.

    Raises UnsafePath where it leads elsewhere or something else than a file is there, and for a mode that lends the
    owner's rights; OSError with the path.
    """
    _judge_mode(path, mode)
    with parent(path) as (place, name):
        there = place.status(name)
        if there is not None and not stat.S_ISLNK(there.st_mode):
            insist_on_a_file(path, there)
        place.judge_owner(name, uid)
        temporary = f".slurmrest-{secrets.token_hex(8)}"
        try:
            descriptor = os.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=place.descriptor
            )
            try:
                _fill(descriptor, content, (uid, gid), mode, copy_of or path, secret=secret, times=copy_of is not None)
            finally:
                os.close(descriptor)
            os.rename(temporary, name, src_dir_fd=place.descriptor, dst_dir_fd=place.descriptor)
        except BaseException as error:
            if isinstance(error, OSError) and error.filename in (None, temporary):
                error.filename, error.filename2 = path, None  # a full disk does not say which
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=place.descriptor)
            raise
        place.sync()


def _fill(
    descriptor: int, content: bytes, owner: tuple[int, int], mode: int, like: str, *, secret: bool, times: bool
) -> None:
    os.fchmod(descriptor, 0o600)
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    like_status = _keep_attributes(like, descriptor, secret=secret)
    status = os.fstat(descriptor)
    if owner != (status.st_uid, status.st_gid):
        os.fchown(descriptor, *owner)
    # The mode is last, since an access control list has a part in it. Who may give files away (CAP_CHOWN) may not
    # change those of others.
    if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
        os.fchmod(descriptor, mode)
    if times and like_status is not None:
        os.utime(descriptor, ns=(like_status.st_atime_ns, like_status.st_mtime_ns))
    os.fsync(descriptor)


def _keep_attributes(path: str, descriptor: int, *, secret: bool) -> os.stat_result | None:
    """Give a new file the attributes of another one, as far as that is there; returns the other one's status."""
    status = None
    with contextlib.suppress(OSError, UnsafePath), parent(path, roots=True) as at, opened(*at) as other:
        status = os.fstat(other)
        _copy_attributes(other, descriptor, but=ACL_ATTRIBUTE if secret else "")
    if secret:
        with contextlib.suppress(OSError, AttributeError):
            os.removexattr(descriptor, ACL_ATTRIBUTE)  # made of the default one of the directory
    return status


def _copy_attributes(source: int, descriptor: int, but: str) -> None:
    with contextlib.suppress(OSError, AttributeError):  # a file system or a system without any
        for attribute in os.listxattr(source):
            if attribute != but:
                with contextlib.suppress(OSError):
                    os.setxattr(descriptor, attribute, os.getxattr(source, attribute))


def _judge_mode(path: str, mode: int) -> None:
    if mode & (stat.S_ISUID | stat.S_ISGID):
        raise UnsafePath(
            f"{path} would get mode {mode:04o}, by which whoever runs it has its owner's rights. Allowed: 0000 to 0777."
        )


def take_over(path: str, uid: int, gid: int, mode: int) -> None:
    """Give a file that waits in this place owner and mode.

    Raises UnsafePath for a link, another account's file, one with a second name, and a mode that lends rights.
    """
    _judge_mode(path, mode)
    with parent(path) as (place, name), opened(place, name, own=True) as descriptor:
        place.judge_owner(name, uid)
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)


def link_beside(path: str, other: str) -> None:
    """Give a file a second name in the same directory; what has that name goes."""
    with parent(path) as (place, name), opened(place, name):
        beside = _beside(path, other)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside, dir_fd=place.descriptor)
        os.link(name, beside, src_dir_fd=place.descriptor, dst_dir_fd=place.descriptor, follow_symlinks=False)


def rename_beside(path: str, other: str) -> None:
    """Rename within a directory, and have that on the disk. Raises FileNotFoundError where there is nothing."""
    with parent(path, roots=True) as (place, name):
        os.rename(name, _beside(path, other), src_dir_fd=place.descriptor, dst_dir_fd=place.descriptor)
        place.sync()


def _beside(path: str, other: str) -> str:
    if os.path.dirname(path) != os.path.dirname(other):
        raise ValueError(f"{other} is not beside {path}")
    return os.path.basename(other)


def make_directory(path: str, uid: int, gid: int, mode: int) -> None:
    """Have a directory of this owner and mode; missing ones above it are root's, 0755, and only below root's.

    Raises UnsafePath where another account could make it lead elsewhere, NotADirectoryError where something else is.
    """
    path = real(path)
    with parent(path, make=True) as (place, name):
        made = place.status(name) is None
        if made:
            place.judge_owner(name, uid)
            try:
                os.mkdir(name, 0o700, dir_fd=place.descriptor)
            except FileExistsError:  # of another process of ours, for another host: it is judged as one that was there
                made = False
        descriptor = place.entered(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (uid, gid, mode):
                return
            place.judge_owner(name, uid)
            if not (made and status.st_uid == os.geteuid() and not os.listdir(descriptor)):
                place.judge(name, status)
                place.judge_name(name, status)
            os.fchown(descriptor, uid, gid)
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)
        place.sync()


def have_parents(path: str) -> None:
    """Have the directories above a path; missing ones become root's, 0755. Raises UnsafePath."""
    with directory(os.path.dirname(path), make=True):
        pass


def have_directory(path: str, mode: int = 0o700) -> None:
    """Have a directory for this account; one that is there stays as it is."""
    if not os.path.isdir(path):
        make_directory(path, os.geteuid(), os.getegid(), mode)


def open_lock(path: str) -> int:
    """A descriptor of a file to lock, made where it is missing. Raises FileNotFoundError without its directory."""
    with parent(path) as (place, name):
        status = place.status(name)
        if status is not None:
            insist_on_a_file(path, status)
            place.judge(name, status)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(name, flags, 0o600, dir_fd=place.descriptor)


# --- removing ---------------------------------------------------------------------------------------------------------


def remove(path: str, *, missing_ok: bool = False) -> None:
    """Remove a file or a link, never what a link leads to. Raises UnsafePath, FileNotFoundError."""
    try:
        with parent(path, roots=True) as (place, name):
            os.unlink(name, dir_fd=place.descriptor)
    except FileNotFoundError:
        if not missing_ok:
            raise


def names(path: str) -> list[str]:
    """What is in a directory. Raises UnsafePath, OSError."""
    with directory(path, roots=True) as place:
        descriptor = place.entered(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return os.listdir(descriptor)
        finally:
            os.close(descriptor)


def remove_directory(path: str, *, sockets: bool = False) -> None:
    """Remove an empty directory, with ``sockets`` also one in which ended daemons left some. Raises OSError."""
    with parent(path, roots=True) as (place, name):
        descriptor = place.entered(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            place.judge(name, os.fstat(descriptor), roots=True)
            for entry in os.listdir(descriptor) if sockets else ():
                if stat.S_ISSOCK(os.stat(entry, dir_fd=descriptor, follow_symlinks=False).st_mode):
                    os.unlink(entry, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        os.rmdir(name, dir_fd=place.descriptor)


# --- records ----------------------------------------------------------------------------------------------------------


def save_record(path: str, record: Mapping[str, Any]) -> None:
    """Write what a later run has to know, for this account alone."""
    write(path, json.dumps(record).encode(), os.geteuid(), os.getegid(), 0o600, secret=True)
