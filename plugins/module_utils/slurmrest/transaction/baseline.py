"""What a host was like before this toolkit changed it, remembered so that it can be brought back.

A file below :data:`~..host.our_files.STATE_DIR`, readable by root only. A thing is remembered before its first change,
and never again: the first word counts. Names are those of transactions, so that each role takes back what it did. A
secret is never copied: of a sensitive file it is only remembered whether it was there.
"""

from __future__ import annotations

import base64
import json
import os
import posixpath
import pwd
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..host import files as host_files
from ..host import programs
from ..host.file_state import Present
from ..host.files import save_record
from ..host.lock import host_lock
from ..host.our_files import RETIRED_PREFIX, STATE_DIR
from ..host.owners import group_id
from ..host.programs import Run
from ..host.records import load_record
from ..systemd.show import running

FILE = "origin.json"
LOCK_PREFIX = "lock"
"""Files that may go with the last thing remembered: nobody needs them without the rest."""


@dataclass
class Baseline:
    """The record of this host."""

    state_dir: str = STATE_DIR
    run: Run = programs.run

    @property
    def _path(self) -> str:
        return posixpath.join(self.state_dir, FILE)

    def remember(
        self,
        name: str,
        *,
        files: Mapping[str, Present | None] | None = None,
        sensitive: Collection[str] = (),
        directories: Iterable[str] = (),
        units: Mapping[str, Mapping[str, str]] | None = None,
        users: Iterable[str] = (),
        groups: Iterable[str] = (),
        packages: Iterable[str] = (),
    ) -> None:
        """Remember how things are, where that is not remembered yet. The caller holds the host's lock.

        Args:
            name: of the transaction or role that is about to change them.
            files: files as they are; None for one that is not there.
            sensitive: paths among them whose content must not be copied.
            directories: directories that are about to be made, besides those of the files.
            units: what systemd says of units (``ActiveState``, ``UnitFileState``), and ``reload``, which is ``yes`` for
                one that takes its former files by a reload.
            users: accounts that are about to be made, where they do not exist.
            groups: groups, likewise.
            packages: packages that are about to be installed.
        """
        record = self.load()
        own = record.get(name, {})
        known = json.dumps(own)

        def first(kind: str, key: str, value: Any = None) -> None:
            own.setdefault(kind, {}).setdefault(key, value)

        new = [path for path, now in (files or {}).items() if now is None]
        for directory in [*directories, *map(posixpath.dirname, new)]:
            for missing in _missing(directory):
                first("directories", missing)
        for path, now in (files or {}).items():
            first("files", path, None if now is None else _kept(now, secret=path in sensitive))
        for unit, state in (units or {}).items():
            kept = {"active": running(state), "enabled": state.get("UnitFileState") == "enabled"}
            first("units", unit, {**kept, **({"reload": True} if state.get("reload") == "yes" else {})})
        for user in users:
            if not has_user(user):
                first("users", user)
        for group in groups:
            if group_id(group) is None:
                first("groups", group)
        for package in packages:
            first("packages", package)
        if json.dumps(own) != known:
            self.save({**record, name: own})

    def remembered(self, name: str) -> Mapping[str, Any]:
        """What is known of the time before; empty where ``name`` never changed anything."""
        found: Mapping[str, Any] = self.load().get(name, {})
        return found

    def others(self, prefix: str, *but: str) -> list[str]:
        """The names remembered that begin with ``prefix``, such as the services of several clusters."""
        return sorted(name for name in self.load() if name.startswith(prefix) and name not in but)

    def sweep(self, *, check: bool = False) -> bool:
        """Remove the toolkit's own directory when nothing is remembered any more; returns whether it does, or would."""
        try:
            names = host_files.names(self.state_dir)
        except FileNotFoundError:
            return False
        if not all(name.startswith((LOCK_PREFIX, RETIRED_PREFIX)) for name in names):
            return False
        if not check:
            with host_lock(self.state_dir):
                for name in host_files.names(self.state_dir):
                    host_files.remove(posixpath.join(self.state_dir, name))
                host_files.remove_directory(self.state_dir)
        return True

    def load(self) -> dict[str, Any]:
        """All that is remembered, by name."""
        return load_record(self._path) or {}

    def save(self, record: Mapping[str, Any]) -> None:
        """Keep that; without anything to remember there is no file."""
        if record:
            save_record(self._path, record)
        else:
            host_files.remove(self._path, missing_ok=True)


def has_user(name: str) -> bool:
    """Whether the host has an account."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _missing(directory: str) -> list[str]:
    """The directory and those above it that do not exist, the lowest first."""
    found = []
    while not os.path.lexists(directory):
        found.append(directory)
        directory = posixpath.dirname(directory)
    return found


def _kept(now: Present, *, secret: bool) -> dict[str, Any]:
    if secret:
        return {}
    content = base64.b64encode(now.content).decode()
    return {"content": content, "owner": now.owner, "group": now.group, "mode": now.mode}
