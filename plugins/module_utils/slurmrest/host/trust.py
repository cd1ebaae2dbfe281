"""Whether a path can be trusted to be root's alone."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator

_MAXIMUM_LINKS = 40  # as the kernel, path_resolution(7)


def roots_alone(path: str) -> bool:
    """Whether nobody but root can change a file, put another one in its place, or lead its path elsewhere."""
    try:
        return all(map(_roots, passed(path)))
    except OSError:
        return False


def led_by_others(path: str, *, links: bool = False) -> bool:
    """Whether another account than root can lead a path elsewhere; with ``links`` whether one's link does so now.

    In a directory like /tmp nobody can take root's away, and whose the next one is, is looked at.
    """
    way: list[os.stat_result] = []
    try:
        way.extend(passed(path))
    except OSError:  # it ends before, at what is not there
        return not links or any(map(_link_of_others, way))
    if links:
        return any(map(_link_of_others, way))
    return not all(_roots(entry) or (entry.st_uid == 0 and entry.st_mode & stat.S_ISVTX) for entry in way[:-1])


def _link_of_others(entry: os.stat_result) -> bool:
    return entry.st_uid != 0 and stat.S_ISLNK(entry.st_mode)


def _roots(entry: os.stat_result) -> bool:
    return entry.st_uid == 0 and (stat.S_ISLNK(entry.st_mode) or not entry.st_mode & 0o022)


def passed(path: str) -> Iterator[os.stat_result]:
    """Status of all on the way to what a path leads to, and of that. Raises OSError."""
    place, links = "/", 0
    waiting = _parts(posixpath.join(os.getcwd(), path))
    yield os.lstat(place)
    while waiting:
        entry = posixpath.normpath(posixpath.join(place, waiting.pop()))
        status = os.lstat(entry)
        yield status
        if not stat.S_ISLNK(status.st_mode):
            place = entry
            continue
        links += 1
        if links > _MAXIMUM_LINKS:
            raise OSError(f"{path} has too many links")
        target = os.readlink(entry)
        place = "/" if os.path.isabs(target) else place
        waiting += _parts(target)


def _parts(path: str) -> list[str]:
    """The components of a path, the last one first."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]
