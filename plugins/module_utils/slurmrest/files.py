"""Files that are written so that readers see the old one or the new one, and nobody else a secret in between."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from typing import Any

STATE_DIR = "/var/lib/slurmrest"
"""What this toolkit notes of a host, for root only."""


def write_atomically(path: str, content: bytes, uid: int, gid: int, mode: int, *, copy_of: str | None = None) -> None:
    """Replace ``path`` by rename: readers (and daemons that map it) see the old file or the new one.

    Access control lists and the like stay those of the file there; ``copy_of`` names another one to take them from,
    together with its times.
    """
    handle, temporary = tempfile.mkstemp(prefix=".slurmrest-", dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(stream.fileno(), 0o600)
            stream.write(content)
            os.fchown(stream.fileno(), uid, gid)
            if mode != 0o600:  # who may give files away (CAP_CHOWN) may not change those of others
                os.fchmod(stream.fileno(), mode)
            _keep_attributes(copy_of or path, stream.fileno())
            stream.flush()
            if copy_of is not None:
                status = os.stat(copy_of)
                os.utime(stream.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
            os.fsync(stream.fileno())
        os.rename(temporary, path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = path  # a full disk does not say which
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def save_record(path: str, record: Mapping[str, Any]) -> None:
    """Write what a later run has to know, for this account alone."""
    write_atomically(path, json.dumps(record).encode(), os.geteuid(), os.getegid(), 0o600)


def load_record(path: str) -> dict[str, Any] | None:
    """Read what :func:`save_record` wrote; None where there is nothing."""
    try:
        with open(path, encoding="utf-8") as stream:
            record: dict[str, Any] = json.load(stream)
            return record
    except FileNotFoundError:
        return None


def read_if_there(path: str) -> str | None:
    """Text of a file of the site as it is, None where there is none; PermissionError passes."""
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as stream:
            return stream.read()
    except PermissionError:
        raise
    except OSError:
        return None


def _keep_attributes(path: str, descriptor: int) -> None:
    """Give a new file the access control list and security label of another one."""
    with contextlib.suppress(OSError):
        for name in os.listxattr(path):
            with contextlib.suppress(OSError):
                os.setxattr(descriptor, name, os.getxattr(path, name))
