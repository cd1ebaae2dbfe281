"""Apply files, service states and probes to this host as one transaction that either holds or is undone.

The order is always the same: take the host lock, undo what an earlier, killed run left half-way, compare, write by
rename, reload systemd, restart, ask every daemon for an answer, and only then forget the previous files. When a daemon
refuses the new files the previous ones come back, the daemons run on them again, and :class:`TransactionFailed` carries
the daemon's own words.

State on the host: a lock file and one journal per transaction under :data:`~..host.own.STATE_DIR`. The rollback copy
of a file lies beside it (same owner and mode, suffix :data:`ROLLBACK_SUFFIX`), so that a secret never exists in a
second directory.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Optional, Protocol

from ..errors import InputError, SlurmrestError
from ..host import files, programs
from ..host.files import load_record, save_record
from ..host.identity import gid_for, group_name, owner_name, uid_for
from ..host.lock import host_lock
from ..host.own import STATE_DIR
from ..host.programs import Run
from ..systemd.show import running as runs
from ..systemd.systemctl import Systemd, refusal
from .present import Present, diff, read_present, same
from .restart_look import look_ahead
from .services import restart, there_before
from .specs import DirectorySpec, FileSpec, ServiceSpec

ROLLBACK_SUFFIX = ".slurmrest-rollback"


LookAhead = Callable[[Sequence["ServiceSpec"], Run, Mapping[str, Optional[str]]], None]
"""Raises SlurmrestError when a service that runs should not be restarted; gets files as they will be, too."""


class TransactionFailed(SlurmrestError):
    """A daemon refused the new state; the previous files are back (see ``rolled_back``)."""

    def __init__(self, message: str, *, rolled_back: Sequence[str], journal: str) -> None:
        super().__init__(message)
        self.rolled_back = list(rolled_back)
        self.details["rolled_back"] = self.rolled_back
        self.journal = journal


@dataclass
class Applied:
    """What a transaction did, or would do in check mode."""

    changed: bool = False
    diff: list[dict[str, str]] = field(default_factory=list)
    changed_paths: list[str] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)
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


class Memory(Protocol):
    """Remembers what things were like before their first change (:class:`~.baseline.Baseline`)."""

    def remember(
        self,
        name: str,
        *,
        files: Mapping[str, Present | None] | None = None,
        sensitive: Collection[str] = (),
        directories: Iterable[str] = (),
        units: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Remember how these are, for the transaction of that name."""


@dataclass
class Transaction:
    """See the module's text. ``name`` keeps the journals of different roles apart.

    ``origin`` remembers what each file and unit was like before its first change, for whoever wants that back.
    """

    name: str
    files: Sequence[FileSpec] = ()
    directories: Sequence[DirectorySpec] = ()
    services: Sequence[ServiceSpec] = ()
    state_dir: str = STATE_DIR
    run: Run = programs.run
    origin: Memory | None = None
    look_ahead: LookAhead = look_ahead

    def __post_init__(self) -> None:
        self._systemd = Systemd(self.run)
        self._journal = os.path.join(self.state_dir, f"journal-{self.name}.json")

    def apply(self, *, check: bool = False, hold: bool = False) -> Applied:
        """Make it so, or with ``check`` only say what would change.

        With ``hold`` the way back stays open, because other hosts may still refuse: until :meth:`commit` or
        :meth:`undo`, or until the next run, which takes it for a killed one and undoes it.

        Raises InputError for unknown owners, TransactionFailed when a daemon refuses (previous state restored), and
        SlurmrestError when the host lock is held for too long.
        """
        begin = time.monotonic()
        outcome = Applied()
        if check:
            self._judge_restarts(outcome.restarted, self._plan(outcome, resolve_owners=False))
        else:
            with host_lock(self.state_dir):
                stale = self._recover(outcome)
                self._execute(outcome, stale, hold=hold)
        outcome.seconds = time.monotonic() - begin
        return outcome

    def unfinished(self) -> bool:
        """Whether a transaction of this name is held, or was left half-way by a killed run."""
        record = load_record(self._journal)
        return record is not None and not record["committed"]

    def commit(self) -> None:
        """Forget the previous files of a transaction that was held."""
        with host_lock(self.state_dir):
            self._commit()

    def undo(self) -> Applied:
        """Bring back what a held (or killed) transaction changed, and its services on that.

        Raises SlurmrestError when a service does not come up on the previous files.
        """
        outcome = Applied()
        with host_lock(self.state_dir):
            stale = self._recover(outcome)
            for service in self.services:
                if service.name in stale:
                    restart(service, self._systemd, self.run)
                    outcome.restarted.append(service.name)
        outcome.changed = bool(outcome.recovered or outcome.restarted)
        return outcome

    # -- comparing ----------------------------------------------------------------------------------------------------

    def _plan(self, outcome: Applied, *, resolve_owners: bool) -> list[tuple[FileSpec, Present | None]]:
        pending: list[tuple[FileSpec, Present | None]] = []
        for directory in self.directories:
            if resolve_owners:
                uid_for(directory.owner), gid_for(directory.group)
            if not self._directory_is_right(directory):
                outcome.changed = True
                outcome.changed_paths.append(directory.path)
        for spec in self.files:
            if resolve_owners and spec.state == "present":
                uid_for(spec.owner), gid_for(spec.group)
            now = read_present(spec.path)
            if not same(spec, now):
                pending.append((spec, now))
                outcome.changed_paths.append(spec.path)
                outcome.diff.append(diff(spec, now))
        outcome.changed = outcome.changed or bool(pending)
        for service in self.services:
            self._plan_service(service, bool(pending), outcome)
        return pending

    def _plan_service(self, service: ServiceSpec, files_change: bool, outcome: Applied) -> None:
        state = self._systemd.show(service.name)
        running = runs(state)
        if service.state == "stopped":
            if running:
                outcome.stopped.append(service.name)
                outcome.changed = True
            running = False
        if service.enabled is not None and (state.get("UnitFileState") == "enabled") != service.enabled:
            outcome.changed = True
        if running:
            asked = files_change or service.state == "restarted"
            if service.restart and (asked or state.get("NeedDaemonReload") == "yes"):
                outcome.restarted.append(service.name)
                outcome.changed = True
        elif service.state == "started":
            outcome.started.append(service.name)
            outcome.changed = True

    @staticmethod
    def _directory_is_right(spec: DirectorySpec) -> bool:
        try:
            status = os.stat(files.real(spec.path))
        except FileNotFoundError:
            return False
        return (
            stat.S_ISDIR(status.st_mode)
            and owner_name(status.st_uid) == spec.owner
            and group_name(status.st_gid) == spec.group
            and stat.S_IMODE(status.st_mode) == spec.mode
        )

    def _judge_restarts(self, names: Collection[str], pending: Sequence[tuple[FileSpec, Present | None]]) -> None:
        """Raise SlurmrestError, before anything changes, when one of the units that run would not come back."""
        running = [service for service in self.services if service.name in names]
        if running:
            texts = {
                spec.path: None if spec.content is None else spec.content.decode("utf-8", "surrogateescape")
                for spec, _now in pending
            }
            self.look_ahead(running, self.run, texts)

    # -- doing --------------------------------------------------------------------------------------------------------

    def _execute(self, outcome: Applied, stale: Sequence[str], *, hold: bool) -> None:
        pending = self._plan(outcome, resolve_owners=True)
        for name in stale:
            if name not in outcome.restarted and name not in outcome.started:
                outcome.restarted.append(name)
                outcome.changed = True
        if not outcome.changed:
            return
        self._judge_restarts(outcome.restarted, pending)
        since = time.time()
        before = {service.name: self._systemd.show(service.name) for service in self.services}
        self._begin(pending, before)
        noticed = bool(outcome.stopped) or any(entry.afresh or entry.enabled is False for entry in self.services)
        try:
            for service in self.services:
                self._bring_down(service, outcome)
            self._make_directories()
            self._write_files(pending)
            noticed = True
            if any(state.get("NeedDaemonReload") == "yes" for state in before.values()) or any(
                "/systemd/" in spec.path for spec, _now in pending
            ):
                self._systemd.command("daemon-reload")
            for service in self.services:
                self._bring_up(service, outcome)
        except (SlurmrestError, OSError) as error:
            words = self._systemd.words((service.name for service in self.services), since)
            problems = self._roll_back(pending, before, noticed=noticed)
            restored = "The previous state is back" if pending else "No file was changed"
            if problems:
                restored += ", but: {}".format("; ".join(problems))
            raise TransactionFailed(
                "\n".join(
                    filter(
                        None, (f"{error}. {restored}.", words and f"The daemon's own words:\n{words}", refusal(words))
                    )
                ),
                rolled_back=[spec.path for spec, _now in pending],
                journal=words,
            ) from error
        if not hold:
            self._commit()

    def _commit(self) -> None:
        record = load_record(self._journal)
        if record is not None:
            record["committed"] = True
            try:
                save_record(self._journal, record)
            except OSError:
                # A full disk: without a journal nobody takes what holds for something half-way.
                files.remove(self._journal)
            self._forget(record)

    def _begin(
        self, pending: Sequence[tuple[FileSpec, Present | None]], before: Mapping[str, Mapping[str, str]]
    ) -> None:
        try:
            self._remember(pending, before)
            self._write_journal(pending, before)
        except OSError as error:
            raise SlurmrestError(f"{self._journal} cannot be written: {error}. Nothing was changed.") from error

    def _remember(
        self, pending: Sequence[tuple[FileSpec, Present | None]], before: Mapping[str, Mapping[str, str]]
    ) -> None:
        if self.origin is not None:
            self.origin.remember(
                self.name,
                files={spec.path: now for spec, now in pending},
                sensitive={spec.path for spec, _now in pending if spec.sensitive},
                directories=[entry.path for entry in self.directories],
                units={
                    service.name: {**before[service.name], "reload": "yes" if service.reload else "no"}
                    for service in self.services
                },
            )

    def _make_directories(self) -> None:
        for spec in self.directories:
            files.make_directory(spec.path, uid_for(spec.owner), gid_for(spec.group), spec.mode)

    @staticmethod
    def _write_files(pending: Sequence[tuple[FileSpec, Present | None]]) -> None:
        for spec, now in pending:
            path, secret = files.real(spec.path), spec.sensitive
            if spec.state == "absent":
                files.rename_beside(path, path + ROLLBACK_SUFFIX)
                continue
            if now is not None:
                owner, group = uid_for(now.owner), gid_for(now.group)
                copy = path + ROLLBACK_SUFFIX
                files.write(copy, now.content, owner, group, now.mode, copy_of=path, secret=secret)
            files.have_parents(path)
            owner, group = uid_for(spec.owner), gid_for(spec.group)
            files.write(path, spec.content or b"", owner, group, spec.mode, secret=secret)

    def _bring_down(self, service: ServiceSpec, outcome: Applied) -> None:
        """While the old unit is still there: it knows its own directories, and what enabling it linked."""
        if service.name in outcome.stopped or (service.afresh and service.name in outcome.restarted):
            self._systemd.command("stop", service.name)
        if service.enabled is False and self._systemd.show(service.name).get("UnitFileState") == "enabled":
            self._systemd.command("disable", "--quiet", service.name)

    def _bring_up(self, service: ServiceSpec, outcome: Applied) -> None:
        if service.enabled:
            self._systemd.command("enable", "--quiet", service.name)
        if service.name in outcome.started or service.name in outcome.restarted:
            instead = self._reload(service) if service.reload else service.instead
            restart(service, self._systemd, self.run, instead if service.name in outcome.restarted else ())

    @staticmethod
    def _reload(service: ServiceSpec) -> tuple[str, ...]:
        return ("systemctl", "reload", service.name)

    # -- undoing ------------------------------------------------------------------------------------------------------

    def _write_journal(
        self, pending: Sequence[tuple[FileSpec, Present | None]], before: Mapping[str, Mapping[str, str]]
    ) -> None:
        record: dict[str, Any] = {
            "committed": False,
            "files": [{"path": files.real(spec.path), "existed": now is not None} for spec, now in pending],
            "services": {
                name: {"active": state.get("ActiveState"), "enabled": state.get("UnitFileState")}
                for name, state in before.items()
            },
        }
        save_record(self._journal, record)

    def _recover(self, outcome: Applied) -> list[str]:
        """Undo what a killed run left behind; return the services that must be restarted because of it."""
        record = load_record(self._journal)
        if record is None:
            return []
        if record["committed"]:
            self._forget(record)
            return []
        self._restore(record["files"])
        outcome.recovered = [entry["path"] for entry in record["files"]]
        self._systemd.attempt("daemon-reload")
        files.remove(self._journal)
        known = {service.name for service in self.services if service.state != "stopped"}
        return [name for name, state in record["services"].items() if state["active"] == "active" and name in known]

    @staticmethod
    def _restore(entries: Sequence[Mapping[str, Any]]) -> None:
        for entry in entries:
            path, copy = str(entry["path"]), str(entry["path"]) + ROLLBACK_SUFFIX
            if entry["existed"]:
                # No copy: the run ended before this file's turn (or after its end), the file itself is the old one.
                with contextlib.suppress(FileNotFoundError):
                    files.rename_beside(copy, path)
            else:
                files.remove(path, missing_ok=True)

    def _roll_back(
        self,
        pending: Sequence[tuple[FileSpec, Present | None]],
        before: Mapping[str, Mapping[str, str]],
        *,
        noticed: bool,
    ) -> list[str]:
        """Bring files and units back; units only where they have noticed anything. Returns what did not work."""
        problems: list[str] = []
        self._restore([{"path": files.real(spec.path), "existed": now is not None} for spec, now in pending])
        self._systemd.attempt("daemon-reload")
        for service in self.services if noticed else ():
            state = before[service.name]
            if service.enabled is not None and state.get("UnitFileState") in ("enabled", "disabled"):
                self._systemd.attempt("enable" if state["UnitFileState"] == "enabled" else "disable", service.name)
            if state.get("ActiveState") == "active":
                since = time.time()
                try:
                    self._restart_on_previous(service)
                except SlurmrestError as error:
                    problems.append(f"on the previous files: {error}{there_before(self._systemd, service.name, since)}")
            else:
                self._systemd.attempt("reset-failed", service.name)
                self._systemd.attempt("stop", service.name)
        files.remove(self._journal, missing_ok=True)
        return problems

    def _restart_on_previous(self, service: ServiceSpec) -> None:
        """Have a unit run on its previous files; one that is reloaded is not asked what only the new ones answer."""
        if service.reload:
            service = replace(service, probes=())
            with contextlib.suppress(SlurmrestError):
                restart(service, self._systemd, self.run, self._reload(service))
                return
        restart(service, self._systemd, self.run)

    def _forget(self, record: Mapping[str, Any]) -> None:
        """Remove the rollback copies of a transaction that holds, and its journal last."""
        for entry in record["files"]:
            files.remove(entry["path"] + ROLLBACK_SUFFIX, missing_ok=True)
        files.remove(self._journal, missing_ok=True)
