"""What ``slurmrest --version`` says."""

from __future__ import annotations

import platform
import re
import subprocess
from importlib import metadata

from slurmrest_toolkit import collection

_VERSION = re.compile(r"^version: (\S+)", re.MULTILINE)
LIBRARY = "ansible-core"


def version() -> str:
    """Return the version of the collection, which is that of the distribution, too."""
    try:
        match = _VERSION.search((collection.ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    except OSError:
        match = None
    return match[1] if match else "unknown"


def commit() -> str:
    """Return the commit of a clone, with a word where files differ from it; empty outside one, or without git."""
    if not collection.is_clone():
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", str(collection.ROOT), "describe", "--always", "--dirty=, changed", "--exclude=*"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.strip()


def describe() -> str:
    """Return the lines of ``slurmrest --version``."""
    here = commit()
    try:
        ansible = f"{LIBRARY} {metadata.version(LIBRARY)}"
    except metadata.PackageNotFoundError:
        ansible = f"no {LIBRARY}"
    origin = f" (clone, commit {here})" if here else " (clone)" if collection.is_clone() else ""
    return (
        f"slurmrest {version()}{origin}\ncollection: {collection.ROOT}\nPython {platform.python_version()}, {ansible}\n"
    )
