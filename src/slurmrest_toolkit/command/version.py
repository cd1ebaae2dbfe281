"""What ``slurmrest --version`` says."""

from __future__ import annotations

import platform
import re
import subprocess
from importlib import import_module, metadata

from slurmrest_toolkit import collection

BUILT = "slurmrest_toolkit.built"
"""Written into the one file that scripts/build_pyz.py makes: VERSION and COMMIT."""

LIBRARY = "ansible-core"
_VERSION = re.compile(r"^version: (\S+)", re.MULTILINE)


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
    python = f"Python {platform.python_version()}"
    try:
        built = import_module(BUILT)
    except ModuleNotFoundError:
        here = commit()
        origin = f" (clone, commit {here})" if here else " (clone)" if collection.is_clone() else ""
        return f"slurmrest {version()}{origin}\ncollection: {collection.ROOT}\n{python}, {ansible()}\n"
    origin = f", commit {built.COMMIT}" if built.COMMIT else ""
    return f"slurmrest {built.VERSION} (one file{origin})\n{python}\n"


def ansible() -> str:
    """Return the version of Ansible that runs the playbooks here."""
    try:
        return f"{LIBRARY} {metadata.version(LIBRARY)}"
    except metadata.PackageNotFoundError:
        return f"no {LIBRARY}"
