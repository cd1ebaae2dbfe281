"""The way to a path in places of any account, and what is read there, without doing that account's errands.

Root works below directories that belong to others: SlurmUser's state, the home of an account that fetches tokens. Who
owns a directory may put a link, a FIFO or another file in the place of anything in it, at any moment. Therefore a path
is opened from ``/`` on, component by component, each by the descriptor of the one before, and

* a symbolic link is followed only where root made it, in a directory that only root can write to;
* from a directory of one account no step leads to an entry of another one, the rule by which systemd-tmpfiles(8) calls
  a path transition unsafe (root's own directories and files may be read, and things in them removed: nobody but root
  can have made them);
* what is read is a regular file, opened without waiting, and of a bounded size.

An account other than root has no rights to lend: for it links count as the kernel has them in shared directories
(fs.protected_symlinks, proc(5)), and the second rule does not apply.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from .reading import MAXIMUM_BYTES, READING, UnsafePath, content_of, insist_on_a_file, who

_MAXIMUM_LINKS = 40  # as the kernel, path_resolution(7)
_STEP = getattr(os, "O_PATH", 0) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class OpenDirectory:
    """An open directory: its descriptor, its path without links, who owns it, and whether others may rename in it."""

    descriptor: int
    path: str
    owner: int
    open: bool = False

    @classmethod
    def of(cls, descriptor: int, path: str) -> OpenDirectory:
        """What a descriptor leads to."""
        found = os.fstat(descriptor)
        # Where everybody's names are protected by the sticky bit, nobody can move what is not his own.
        others = stat.S_IWOTH | (stat.S_IWGRP if found.st_gid else 0)
        return cls(descriptor, path, found.st_uid, bool(found.st_mode & others) and not found.st_mode & stat.S_ISVTX)

    @property
    def foreign(self) -> bool:
        """Whether its owner is somebody for whom root must not do anything."""
        return os.geteuid() == 0 and self.owner != 0

    def below(self, name: str) -> str:
        """The path of an entry."""
        return os.path.join(self.path, name)

    def status(self, name: str) -> os.stat_result | None:
        """What an entry is, links not followed; None where there is none."""
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            error.filename = self.below(name)
            raise

    def entered(self, name: str, flags: int = _STEP) -> int:
        """A descriptor of a directory in this one."""
        try:
            return os.open(name, flags, dir_fd=self.descriptor)
        except OSError as error:
            error.filename = self.below(name)
            raise

    def target(self, name: str, link: os.stat_result) -> str:
        """Where a link leads that may be followed. Raises UnsafePath for another one."""
        above = os.fstat(self.descriptor)
        if os.geteuid() == 0:
            good = link.st_uid == above.st_uid == 0 and not above.st_mode & 0o022
            allowed = "a link that root made, in a directory that only root can write to"
        else:
            good = link.st_uid in (0, os.geteuid(), above.st_uid)
            allowed = "a link of your own, of root, or of the directory's owner"
        if not good:
            raise UnsafePath(
                f"{self.below(name)} is a symbolic link of {who(link.st_uid)}, in a directory of "
                f"{who(above.st_uid)} with mode {stat.S_IMODE(above.st_mode):04o}, and is not followed. "
                f"Allowed: {allowed}.",
                "Put what it should lead to in its place, or name the path without the link.",
            )
        return os.readlink(name, dir_fd=self.descriptor)

    def judge(self, name: str, entry: os.stat_result, *, roots: bool = False) -> None:
        """Raise UnsafePath where root would step from one account's directory to an entry of another one."""
        if not self.foreign or entry.st_uid == self.owner or (roots and entry.st_uid == 0):
            return
        raise UnsafePath(
            f"{self.path} belongs to {who(self.owner)}, and {self.below(name)} to {who(entry.st_uid)}: the former "
            "could have put anything there, so that root does nothing by this path. Allowed: an entry of "
            f"{who(self.owner)}, or directories that belong to root from / on.",
            f"Look at it, and chown {self.path} to root, or {self.below(name)} to {who(self.owner)}.",
        )

    def judge_name(self, name: str, entry: os.stat_result) -> None:
        """Raise UnsafePath where others than root could have given this name to another thing of root's."""
        if os.geteuid() == 0 and self.open and entry.st_uid == 0:
            raise UnsafePath(
                f"Others than root may write in {self.path}, who could have given the name {self.below(name)} to "
                "something else that is root's there, so that root gives it to nobody. Allowed: a directory in which "
                "only root may write.",
                f"chmod go-w {self.path}",
            )

    def judge_owner(self, name: str, uid: int) -> None:
        """Raise UnsafePath where a third account would get something in a directory of another one."""
        if self.foreign and uid not in (0, self.owner):
            raise UnsafePath(
                f"{self.path} belongs to {who(self.owner)}, and {self.below(name)} would be given to {who(uid)}. "
                f"Allowed: {who(self.owner)} or root as its owner, or a directory that belongs to root."
            )

    def sync(self) -> None:
        """Have names of this directory on the disk."""
        with contextlib.suppress(OSError):  # one that may be entered, but not read
            descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.descriptor)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


@contextlib.contextmanager
def directory(path: str, *, make: bool = False, roots: bool = False) -> Iterator[OpenDirectory]:
    """The directory at a path, opened step by step; with ``make`` missing ones are made, root's, 0755.

    Raises UnsafePath, FileNotFoundError and what the system says.
    """
    place = _root()
    waiting = _parts(os.path.join(os.getcwd(), path) if not os.path.isabs(path) else path)
    turns = 0
    try:
        while waiting:
            name = waiting.pop()
            if name == "..":
                waiting += _parts(os.path.dirname(place.path))
                place, turns = _again(place, turns)
                continue
            status = place.status(name)
            if status is None and make:
                _make(place, name)
            elif status is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), place.below(name))
            elif stat.S_ISLNK(status.st_mode):
                target = place.target(name, status)
                waiting += _parts(target)
                if os.path.isabs(target):
                    place, turns = _again(place, turns)
                turns = _counted(turns, place)
                continue
            descriptor = place.entered(name)
            entry = os.fstat(descriptor)
            try:
                place.judge(name, entry, roots=roots)
            except UnsafePath:
                os.close(descriptor)
                raise
            os.close(place.descriptor)
            place = OpenDirectory.of(descriptor, place.below(name))
        yield place
    finally:
        os.close(place.descriptor)


def _root() -> OpenDirectory:
    descriptor = os.open("/", _STEP)
    return OpenDirectory.of(descriptor, "/")


def _again(place: OpenDirectory, turns: int) -> tuple[OpenDirectory, int]:
    turns = _counted(turns, place)
    root = _root()
    os.close(place.descriptor)
    return root, turns


def _counted(turns: int, place: OpenDirectory) -> int:
    if turns >= 2 * _MAXIMUM_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), place.path)
    return turns + 1


def _parts(path: str) -> list[str]:
    """The components of a path, the last one first."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _make(place: OpenDirectory, name: str) -> None:
    if place.foreign:
        raise UnsafePath(
            f"{place.below(name)} does not exist, and {place.path} belongs to {who(place.owner)}: root makes no "
            "directory of its own there. Allowed: a path below directories of root.",
            f"Have {who(place.owner)} make it, or name another path.",
        )
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=place.descriptor)
        if os.geteuid() == 0:  # whatever the umask of this run is
            descriptor = place.entered(name, READING | os.O_DIRECTORY)
            try:
                os.fchmod(descriptor, 0o755)
            finally:
                os.close(descriptor)


@contextlib.contextmanager
def parent(path: str, *, make: bool = False, roots: bool = False) -> Iterator[tuple[OpenDirectory, str]]:
    """The directory of a path, and the entry's name in it."""
    above, name = os.path.split(path)
    if name in ("", ".", ".."):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    with directory(above, make=make, roots=roots) as place:
        yield place, name


def real(path: str) -> str:
    """The path without links, as far as it exists. Raises UnsafePath for a link that must not be followed."""
    for _turn in range(_MAXIMUM_LINKS):
        if not path.strip("/"):
            return "/"
        try:
            with parent(path, roots=True) as (place, name):
                status = place.status(name)
                if status is None or not stat.S_ISLNK(status.st_mode):
                    return place.below(name)
                path = os.path.join(place.path, place.target(name, status))
        except (FileNotFoundError, NotADirectoryError):
            return os.path.join(real(os.path.dirname(path)), os.path.basename(path))
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


# --- reading ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def opened(place: OpenDirectory, name: str, *, own: bool = False) -> Iterator[int]:
    """A descriptor of a regular file, for reading. With ``own`` it has no other name and is no third account's.

    Raises UnsafePath for anything else, FileNotFoundError where there is nothing.
    """
    status = place.status(name)
    if status is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), place.below(name))
    insist_on_a_file(place.below(name), status)  # opening a device may already do something
    descriptor = place.entered(name, READING)
    try:
        status = os.fstat(descriptor)
        insist_on_a_file(place.below(name), status)
        # Who owns the directory can link another account's file into it, unless the kernel forbids that.
        lone = status.st_nlink == 1
        place.judge(name, status, roots=lone and not own)
        if own:
            place.judge_name(name, status)
        if (own or place.open) and not lone:
            raise UnsafePath(
                f"{place.below(name)} is linked elsewhere, too, and is left alone. Allowed: a file with one name.",
                "Remove its other name.",
            )
        yield descriptor
    finally:
        os.close(descriptor)


def read_with_status(path: str, limit: int = MAXIMUM_BYTES) -> tuple[bytes, os.stat_result]:
    """Content and status of a regular file, links of root followed. Bytes.

    Raises UnsafePath for any other, for one of another account than its directory's, and for one over ``limit``;
    FileNotFoundError where there is none.
    """
    with parent(real(path), roots=True) as (place, name), opened(place, name) as descriptor:
        return content_of(descriptor, path, limit), os.fstat(descriptor)


def read(path: str, limit: int = MAXIMUM_BYTES) -> bytes:
    """Content of a regular file; as :func:`read_with_status`."""
    return read_with_status(path, limit)[0]


def status(path: str) -> os.stat_result:
    """Status of a regular file, judged as :func:`read_with_status` does: no link that another account put there."""
    with parent(real(path), roots=True) as (place, name), opened(place, name) as descriptor:
        return os.fstat(descriptor)
