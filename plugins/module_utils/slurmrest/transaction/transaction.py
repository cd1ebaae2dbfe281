"""Apply files, service states and probes to this host as one transaction that either holds or is undone.

The order is always the same: take the host lock, undo what an earlier, killed run left half-way, compare, write by
rename, reload systemd, restart, ask every daemon for an answer, and only then forget the previous files. When a daemon
refuses the new files the previous ones come back, the daemons run on them again, and :class:`TransactionFailed` carries
the daemon's own words.

State on the host: a lock file and a journal per transaction under :data:`~..host.our_files.STATE_DIR`. A rollback copy
of a file lies beside it (same owner and mode, suffix :data:`ROLLBACK_SUFFIX`), so that a secret never exists in a
second directory.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ..errors import SlurmrestError
from ..host import files
from ..host.file_state import Present
from ..host.files import save_record
from ..host.lock import host_lock
from ..host.owners import gid_for, uid_for
from ..host.records import load_record
from ..systemd.show import running
from ..systemd.systemctl import Systemd, refusal
from .comparison import Applied, Pending, Wanted
from .probes import plain_error
from .services import Judges, restart, there_before, within
from .specs import ServiceSpec

ROLLBACK_SUFFIX = ".slurmrest-rollback"


class TransactionFailed(SlurmrestError):
    """A daemon refused the new state; the previous files are back (see ``rolled_back``)."""

    def __init__(self, message: str, *, rolled_back: Sequence[str], journal: str) -> None:
        super().__init__(message)
        self.rolled_back = list(rolled_back)
        self.details["rolled_back"] = self.rolled_back
        self.journal = journal


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
class Transaction(Wanted):
    """See the module's text.

    ``judges`` know the daemons of Slurm and of a gateway; without them none is restarted or asked
    (:class:`.services.Beyond`). ``origin`` remembers what each file and unit was like before its first change, for
    whoever wants that back.
    """

    judges: Judges | None = None
    origin: Memory | None = None

    def __post_init__(self) -> None:
        self._systemd = Systemd(self.run)

    def apply(self, *, check: bool = False, hold: bool = False) -> Applied:
        """Make it so, or with ``check`` only say what would change.

        With ``hold`` the way back stays open, because other hosts may still refuse: until :meth:`commit` or
        :meth:`undo`, or until the next run, which takes it for a killed one and undoes it.

        Raises InputError for unknown owners, Beyond for services that need other judges, TransactionFailed when a
        daemon refuses (previous state restored), and SlurmrestError when the host lock is held for too long.
        """
        within(self.services, self.judges)
        begin = time.monotonic()
        outcome = Applied()
        if check:
            self._judge(outcome, self.plan(outcome, resolve_owners=False))
        else:
            with host_lock(self.state_dir):
                stale = self._recover(outcome)
                self._execute(outcome, stale, hold=hold)
        outcome.seconds = time.monotonic() - begin
        return outcome

    def unfinished(self) -> bool:
        """Whether a transaction of this name is held, or was left half-way by a killed run."""
        record = load_record(self.journal)
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
                    self._restart(service)
                    outcome.restarted.append(service.name)
        outcome.changed = bool(outcome.recovered or outcome.restarted)
        return outcome

    # -- judging ------------------------------------------------------------------------------------------------------

    def _judge(self, outcome: Applied, pending: Pending) -> None:
        """Raise SlurmrestError, before anything changes, when one of the units that run would not come back."""
        running = [service for service in self.services if service.name in outcome.restarted]
        if self.judges and running:
            texts = {
                spec.path: None if spec.content is None else spec.content.decode("utf-8", "surrogateescape")
                for spec, _now in pending
            }
            outcome.unseen = self.judges.look_ahead(running, self.run, texts)

    def _restart(self, service: ServiceSpec, instead: Sequence[str] = ()) -> None:
        restart(service, self._systemd, self.run, self.judges.ask if self.judges else plain_error, instead)

    # -- doing --------------------------------------------------------------------------------------------------------

    def _execute(self, outcome: Applied, stale: Sequence[str], *, hold: bool) -> None:
        pending = self.plan(outcome, resolve_owners=True)
        for name in stale:
            if name not in outcome.restarted and name not in outcome.started:
                outcome.restarted.append(name)
                outcome.changed = True
        if not outcome.changed:
            return
        self._judge(outcome, pending)
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
        record = load_record(self.journal)
        if record is not None:
            record["committed"] = True
            try:
                save_record(self.journal, record)
            except OSError:
                # A full disk: without a journal nobody takes what holds for something half-way.
                files.remove(self.journal)
            self._forget(record)

    def _begin(self, pending: Pending, before: Mapping[str, Mapping[str, str]]) -> None:
        try:
            self._remember(pending, before)
            self._write_journal(pending, before)
        except OSError as error:
            raise SlurmrestError(f"{self.journal} cannot be written: {error}. Nothing was changed.") from error

    def _remember(self, pending: Pending, before: Mapping[str, Mapping[str, str]]) -> None:
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
    def _write_files(pending: Pending) -> None:
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
            self._restart(service, instead if service.name in outcome.restarted else ())

    @staticmethod
    def _reload(service: ServiceSpec) -> tuple[str, ...]:
        return ("systemctl", "reload", service.name)

    # -- undoing ------------------------------------------------------------------------------------------------------

    def _write_journal(self, pending: Pending, before: Mapping[str, Mapping[str, str]]) -> None:
        record: dict[str, Any] = {
            "committed": False,
            "files": [{"path": files.real(spec.path), "existed": now is not None} for spec, now in pending],
            "services": {
                name: {"active": state.get("ActiveState"), "enabled": state.get("UnitFileState")}
                for name, state in before.items()
            },
        }
        save_record(self.journal, record)

    def _recover(self, outcome: Applied) -> list[str]:
        """Undo what a killed run left behind; return the services that must be restarted because of it."""
        record = load_record(self.journal)
        if record is None:
            return []
        if record["committed"]:
            self._forget(record)
            return []
        self._restore(record["files"])
        outcome.recovered = [entry["path"] for entry in record["files"]]
        self._systemd.attempt("daemon-reload")
        files.remove(self.journal)
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
        pending: Pending,
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
            ran = state.get("ActiveState") == "active"
            if ran and not pending and running(self._systemd.show(service.name)):
                # A restart would bring nothing back, and cut short what a new release converts at its start.
                problems.append(f"{service.name} still runs and was left alone, as it may need more time")
            elif ran:
                since = time.time()
                try:
                    self._restart_on_previous(service)
                except SlurmrestError as error:
                    problems.append(f"on the previous files: {error}{there_before(self._systemd, service.name, since)}")
            else:
                self._systemd.attempt("reset-failed", service.name)
                self._systemd.attempt("stop", service.name)
        files.remove(self.journal, missing_ok=True)
        return problems

    def _restart_on_previous(self, service: ServiceSpec) -> None:
        """Have a unit run on its previous files; one that is reloaded is not asked what only the new ones answer."""
        if service.reload:
            service = replace(service, probes=())
            with contextlib.suppress(SlurmrestError):
                self._restart(service, self._reload(service))
                return
        self._restart(service)

    def _forget(self, record: Mapping[str, Any]) -> None:
        """Remove the rollback copies of a transaction that holds, and its journal last."""
        for entry in record["files"]:
            files.remove(entry["path"] + ROLLBACK_SUFFIX, missing_ok=True)
        files.remove(self.journal, missing_ok=True)
