"""One lock for everything that changes this host."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from ..errors import SlurmrestError
from . import files
from .our_files import STATE_DIR

POLL_SECONDS = 0.05


@contextlib.contextmanager
def host_lock(state_dir: str = STATE_DIR, timeout: float = 300.0, name: str = "lock") -> Iterator[None]:
    """Hold the one lock of this host; a run whose controller was killed still holds it until it ends. Seconds."""
    path = os.path.join(state_dir, name)
    deadline = time.monotonic() + timeout
    while True:
        files.have_directory(state_dir)
        try:
            descriptor = files.open_lock(path)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it may have removed the file: then it is no lock any more.
            if os.path.exists(path) and os.path.samestat(os.fstat(descriptor), os.stat(path)):
                break
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise SlurmrestError(f"another run of this toolkit has held {path} for {timeout:.0f} s") from None
            time.sleep(POLL_SECONDS)
        except FileNotFoundError:
            pass
        os.close(descriptor)
    try:
        yield
    finally:
        os.close(descriptor)
