"""Where things are kept, and file locks between parallel runs."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def state_directory() -> Path:
    """Directory of this user's clusters: ``SLURMREST_STATE_DIR``, else below ``XDG_STATE_HOME``."""
    own = os.environ.get("SLURMREST_STATE_DIR")
    base = os.environ.get("XDG_STATE_HOME")
    path = Path(own) if own else Path(base) / "slurmrest" if base else Path.home() / ".local/state/slurmrest"
    return path.absolute()


def runtime_directory() -> Path:
    """Directory, private to this user and gone or stale after a reboot, of what belongs to the container engine.

    It does not follow ``SLURMREST_STATE_DIR``: runs with different state directories share one engine.
    """
    if os.geteuid() == 0:
        path = Path("/run/slurmrest")
    else:
        base = os.environ.get("XDG_RUNTIME_DIR")
        path = Path(base) / "slurmrest" if base else Path.home() / ".cache/slurmrest"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
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
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a", encoding="ascii") as file:
        held = True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is None:
                held = False
            else:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
        yield held
