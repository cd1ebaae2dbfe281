"""Key files as they are on a host, and what is noted of them; :mod:`.keys` judges."""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from typing import Any

from ..host.access import ownership
from ..host.our_files import RETIRED_PREFIX, STATE_DIR
from ..host.records import load_record


def rotation_record(path: str, state_dir: str = STATE_DIR) -> str:
    """The file that is there while a rotation of the key at ``path`` has begun and not ended."""
    return posixpath.join(state_dir, f"rotation-{posixpath.basename(path)}.json")


def retired_record(path: str, state_dir: str = STATE_DIR) -> str:
    """The file that tells which keys of this name must not come back: hosts that were gone at their end may bring them.

    It has a note for each path: ``digest``, and the hosts ``without`` which the key ended.
    """
    return posixpath.join(state_dir, f"{RETIRED_PREFIX}{posixpath.basename(path)}.json")


def is_retired(path: str, content: bytes, state_dir: str = STATE_DIR) -> list[str]:
    """The hosts because of which this content must not come back as the key at ``path``; none where it may."""
    notes = (load_record(retired_record(path, state_dir)) or {}).values()
    digest = hashlib.sha256(content).hexdigest()
    return [str(host) for note in notes if note["digest"] == digest for host in note["without"]]


def ended_without(path: str, state_dir: str = STATE_DIR) -> list[str]:
    """The hosts without which the key that was at ``path`` was ended last: they may bring it back."""
    note = (load_record(retired_record(path, state_dir)) or {}).get(path) or {"without": []}
    return [str(host) for host in note["without"]]


def inspect(path: str) -> dict[str, Any]:
    """Facts of a key file and the directories above it, links resolved. JSON-able, without the content.

    Raises:
        OSError: a directory above it may not be entered.
    """
    real = os.path.realpath(path)
    directories = []
    directory = posixpath.dirname(real)
    while True:
        if os.path.isdir(directory):
            directories.append({"path": directory, **ownership(directory)})
        if directory == posixpath.dirname(directory):
            break
        directory = posixpath.dirname(directory)
    facts: dict[str, Any] = {
        "path": path,
        "real_path": real,
        "exists": os.path.lexists(real),
        "directories": directories,
    }
    if facts["exists"]:
        status = os.stat(real)
        facts.update(ownership(real), regular=stat.S_ISREG(status.st_mode), size=status.st_size)
    return facts
