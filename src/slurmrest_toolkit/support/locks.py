"""Where things are kept, and file locks between parallel runs."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from filelock import FileLock, Timeout

from slurmrest_toolkit.support import session, sudo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = "slurmrest"

CLUSTERS, FAILED, LOCKS, PYTEST, BUILD = "clusters", "failed", "locks", "pytest", "build"
COPY = "load-"
"""Folders of the state directory; the last is how those begin in which archives are looked at."""

HANDED_OVER = (CLUSTERS, FAILED, LOCKS, PYTEST)
"""Of the state directory, what belongs to the account that called sudo; images are built beside it."""


def state_directory() -> Path:
    """Directory of this user's clusters: ``SLURMREST_STATE_DIR``, else below ``XDG_STATE_HOME``.

    Under sudo it is that of the account that called it.
    """
    if own := os.environ.get("SLURMREST_STATE_DIR"):
        return Path(own).absolute()
    account = None if os.environ.get("XDG_STATE_HOME") else sudo.caller()
    return (
        Path(account.pw_dir, ".local/state", NAME) if account else platformdirs.user_state_path(NAME, appauthor=False)
    )


def hand_over_state() -> None:
    """Give what is in the state directory to the account that called sudo; the directory, too, if all of it is ours."""
    if sudo.caller() is None or not (directory := state_directory()).is_dir():
        return
    for name in HANDED_OVER:
        sudo.hand_over(directory / name)
    names = {entry.name for entry in directory.iterdir() if not entry.name.startswith(COPY)}
    if names <= {*HANDED_OVER, BUILD}:
        sudo.hand_over(directory, within=False)


@contextmanager
def handing_over() -> Iterator[None]:
    """Have what is written meanwhile be the account's that called sudo, however it ends."""
    try:
        yield
    finally:
        hand_over_state()


def make_private(directory: Path) -> None:
    """Have a directory, and what is missing above it, for this account alone.

    ``mkdir(parents=True)`` leaves those above to the umask, and whoever may write there puts another one in its place.
    """
    for path in [*reversed(directory.parents), directory]:
        if not path.is_dir():
            path.mkdir(mode=0o700, exist_ok=True)


def runtime_directory() -> Path:
    """Directory, private to this user and gone or stale after a reboot, of what belongs to the container engine.

    It does not follow ``SLURMREST_STATE_DIR``: runs with different state directories share one engine.
    """
    if os.geteuid() == 0:
        path = Path("/run", NAME)
    elif own := session.directory():
        path = own / NAME
    else:  # not in a temporary directory that belongs to all
        path = platformdirs.user_cache_path(NAME, appauthor=False)
    make_private(path)
    return path


@contextmanager
def locked(path: Path, *, waiting: Callable[[], None] | None) -> Iterator[bool]:
    """Hold an exclusive lock on a file made for it; the kernel frees it when the process ends, however it ends.

    Args:
        path: the lock file, made where absent and left in place.
        waiting: called once when another process holds the lock, before waiting for it; None means do not wait.

    Yields:
        Whether the lock is held: False only when ``waiting`` is None and another process has it.
    """
    make_private(path.parent)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        if waiting is None:
            yield False
            return
        waiting()
        lock.acquire()
    try:
        yield True
    finally:
        lock.release()
