"""What a transaction shall bring about, compared with what is there: this much is looked at on every run.

To look is all that most runs do, and it takes a few files; to write, to restart and to ask take many
(:mod:`.transaction`). Ansible would ship those to every host every time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from ..errors import InputError
from ..host import programs
from ..host.file_state import Present, read_directory, read_present
from ..host.our_files import JOURNAL, STATE_DIR
from ..host.owners import gid_for, uid_for
from ..host.programs import Run
from ..systemd.show import running as runs
from ..systemd.state import state
from .file_diff import diff, same
from .specs import DirectorySpec, FileSpec, ServiceSpec

Pending = list[tuple[FileSpec, Optional[Present]]]
"""Files to write, each with what is there now."""


@dataclass
class Applied:
    """What a transaction did, or would do in check mode; ``unseen`` is what nobody could look at before, in words."""

    changed: bool = False
    diff: list[dict[str, str]] = field(default_factory=list)
    changed_paths: list[str] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    seconds: float = 0.0


def octal(text: str) -> int:
    """Read permissions as people write them (``"0640"``); InputError for anything else."""
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:
        raise InputError("mode", text, "an octal number such as 0640")
    return mode


@dataclass
class Wanted:
    """Files, directories and services as they shall be. ``name`` keeps the journals of different roles apart."""

    name: str
    files: Sequence[FileSpec] = ()
    directories: Sequence[DirectorySpec] = ()
    services: Sequence[ServiceSpec] = ()
    state_dir: str = STATE_DIR
    run: Run = programs.run

    @property
    def journal(self) -> str:
        """The file that says how far a transaction has come; it is there from its first change to its end."""
        return os.path.join(self.state_dir, JOURNAL.format(self.name))

    def settled(self) -> bool:
        """Whether nothing is left to do: all is as it shall be, and no run was killed half-way."""
        outcome = Applied()
        self.plan(outcome, resolve_owners=False)
        return not outcome.changed and not self._unfinished()

    def plan(self, outcome: Applied, *, resolve_owners: bool) -> Pending:
        """Note in ``outcome`` what is not as it shall be; returns the files to write, each with what is there now.

        Raises InputError for unknown owners, where they are to be resolved.
        """
        pending: Pending = []
        for directory in self.directories:
            if resolve_owners:
                uid_for(directory.owner), gid_for(directory.group)
            if not self._directory_is_right(directory):
                outcome.changed = True
                outcome.changed_paths.append(directory.path)
        for spec in self.files:
            if resolve_owners and spec.state == "present":
                uid_for(spec.owner), gid_for(spec.group)
            now = self._present(spec)
            if not same(spec, now):
                pending.append((spec, now))
                outcome.changed_paths.append(spec.path)
                outcome.diff.append(diff(spec, now))
        outcome.changed = outcome.changed or bool(pending)
        for service in self.services:
            self._plan_service(service, bool(pending), outcome)
        return pending

    def _plan_service(self, service: ServiceSpec, files_change: bool, outcome: Applied) -> None:
        now = self._unit(service.name)
        running = runs(now)
        if service.state == "stopped":
            if running:
                outcome.stopped.append(service.name)
                outcome.changed = True
            running = False
        if service.enabled is not None and (now.get("UnitFileState") == "enabled") != service.enabled:
            outcome.changed = True
        if running:
            # Others than who brings it up only give it its files.
            reload = service.state == "started" and now.get("NeedDaemonReload") == "yes"
            if service.restart and (files_change or service.state == "restarted" or reload):
                outcome.restarted.append(service.name)
                outcome.changed = True
        elif service.state == "started":
            outcome.started.append(service.name)
            outcome.changed = True

    def _directory_is_right(self, spec: DirectorySpec) -> bool:
        return self._directory(spec.path) == (spec.owner, spec.group, spec.mode)

    # -- how things are: on this host; :mod:`.snapshot_comparison` knows it otherwise ----------------------------------

    def _present(self, spec: FileSpec) -> Present | None:
        return read_present(spec.path)

    def _directory(self, path: str) -> tuple[str, str, int] | None:
        return read_directory(path)

    def _unit(self, name: str) -> Mapping[str, str]:
        return state(self.run, name)

    def _unfinished(self) -> bool:
        return os.path.lexists(self.journal)
