"""Apply files, service states and probes to this host as one transaction that either holds or is undone.

The order is always the same: take the host lock, undo what an earlier, killed run left half-way, compare, write by
rename, reload systemd, restart, ask every daemon for an answer, and only then forget the previous files. When a daemon
refuses the new files the previous ones come back, the daemons run on them again, and :class:`TransactionFailed` carries
the daemon's own words.

State on the host: a lock file and one journal per transaction under :data:`~..host.files.STATE_DIR`. The rollback copy
of a file lies beside it (same owner and mode, suffix :data:`ROLLBACK_SUFFIX`), so that a secret never exists in a
second directory.
"""

from __future__ import annotations

import contextlib
import fcntl
import grp
import os
import pwd
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Callable, Optional, Protocol

from ..errors import InputError, SlurmrestError
from ..host import files, programs
from ..host.files import STATE_DIR, load_record, save_record
from ..host.programs import Run
from ..systemd.systemctl import Systemd, number, refusal
from ..systemd.systemctl import running as runs
from .probes import Probe, probe_error
from .restart_look import look_ahead

ROLLBACK_SUFFIX = ".slurmrest-rollback"
POLL_SECONDS = 0.05
INSTEAD_SECONDS = 120.0
"""For the command that has a unit take its files without a restart."""

SHORTEST_SECONDS = 0.1
"""That a probe gets at least: a unit that is up at the last moment is asked once."""

LookAhead = Callable[[Sequence["ServiceSpec"], Run, Mapping[str, Optional[str]]], None]
"""Raises SlurmrestError when a service that runs should not be restarted; gets files as they will be, too."""


class TransactionFailed(SlurmrestError):
    """A daemon refused the new state; the previous files are back (see ``rolled_back``)."""

    def __init__(self, message: str, *, rolled_back: Sequence[str], journal: str) -> None:
        super().__init__(message)
        self.rolled_back = list(rolled_back)
        self.details["rolled_back"] = self.rolled_back
        self.journal = journal


@dataclass(frozen=True)
class FileSpec:
    """One file as it shall be. ``content`` is None only for ``state="absent"``; ``mode`` holds the permission bits.

    A ``sensitive`` one is a secret that nobody may copy or see; one that is not ``shown`` only stays out of a diff.
    """

    path: str
    content: bytes | None = None
    state: str = "present"
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    sensitive: bool = False
    shown: bool = True

    def __post_init__(self) -> None:
        if not os.path.isabs(self.path):
            raise InputError("path", self.path, "an absolute path")
        if self.state not in ("present", "absent"):
            raise InputError("state", self.state, "present or absent")
        if self.state == "present" and self.content is None:
            raise InputError("content", None, f"the text of the file {self.path!r}")


@dataclass(frozen=True)
class DirectorySpec:
    """One directory as it shall be; parents are created like ``mkdir -p`` with mode 0755, root-owned."""

    path: str
    owner: str = "root"
    group: str = "root"
    mode: int = 0o755


@dataclass(frozen=True)
class ServiceSpec:
    """One unit as it shall be.

    ``state`` is ``started`` (running, restarted on change), ``if_running`` (restarted on change only when it runs
    already), ``restarted`` (restarted in any case when it runs already) or ``stopped``. ``enabled`` None leaves the
    enablement alone. ``timeout`` is the patience for all probes, in seconds. ``instead`` is a command by which the unit
    takes its new files without a restart; the previous ones always come back by a restart. With ``afresh`` a restart
    stops the unit before the files change, so that what the old unit made (RuntimeDirectory=) goes with it. For
    slurmctld and slurmdbd, see :mod:`.restart`: ``replacing`` says that another binary than the running one is what the
    restart is for, ``allow_state_loss`` that what only the controller's memory has may go.
    """

    name: str
    state: str = "started"
    enabled: bool | None = None
    probes: tuple[Probe, ...] = ()
    timeout: float = 30.0
    restart: bool = True
    instead: tuple[str, ...] = ()
    afresh: bool = False
    replacing: bool = False
    allow_state_loss: bool = False

    def __post_init__(self) -> None:
        if self.state not in ("started", "if_running", "restarted", "stopped"):
            raise InputError("state", self.state, "started, if_running, restarted or stopped")

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> ServiceSpec:
        """Read a unit from a module parameter; what is not given has its default. InputError for a bad value."""
        given = {name: value for name, value in data.items() if value is not None}
        given["probes"] = tuple(Probe.from_mapping(probe) for probe in given.get("probes", ()))
        unknown = set(given) - {entry.name for entry in fields(cls)}
        if unknown:
            raise InputError("services", ", ".join(sorted(unknown)), ", ".join(entry.name for entry in fields(cls)))
        return cls(**given)


@dataclass
class Outcome:
    """What a transaction did, or would do in check mode."""

    changed: bool = False
    diff: list[dict[str, str]] = field(default_factory=list)
    changed_paths: list[str] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)
    seconds: float = 0.0


def _uid(owner: str) -> int:
    try:
        return int(owner) if owner.isdigit() else pwd.getpwnam(owner).pw_uid
    except KeyError:
        raise InputError("owner", owner, "an account of this host") from None


def group_id(group: str) -> int | None:
    """The number of a group; None where the host does not have it."""
    try:
        return int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def _gid(group: str) -> int:
    number = group_id(group)
    if number is None:
        raise InputError("group", group, "a group of this host")
    return number


def octal(text: str) -> int:
    """Read permissions as people write them (``"0640"``); InputError for anything else."""
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:
        raise InputError("mode", text, "an octal number such as 0640")
    return mode


def owner_name(uid: int) -> str:
    """The account of a number, or the number itself where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """The group of a number, or the number itself where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


@dataclass(frozen=True)
class Present:
    """A file as it is now."""

    content: bytes
    owner: str
    group: str
    mode: int


def read_present(path: str) -> Present | None:
    """Content, owner, group and mode of a file; None where there is none. Raises UnsafePath as :mod:`..host.files`."""
    try:
        content, status = files.read_with_status(path)
    except FileNotFoundError:
        return None
    return Present(content, owner_name(status.st_uid), group_name(status.st_gid), stat.S_IMODE(status.st_mode))


def _described(owner: str, group: str, mode: int, content: str) -> str:
    return f"# {owner} {group} {mode:04o}\n{content}"


def _diff(spec: FileSpec, now: Present | None) -> dict[str, str]:
    hidden = spec.sensitive or not spec.shown

    def text(data: bytes) -> str:
        return "(content not shown)\n" if hidden else data.decode("utf-8", "replace")

    before = _described(now.owner, now.group, now.mode, text(now.content)) if now else ""
    after = _described(spec.owner, spec.group, spec.mode, text(spec.content or b"")) if spec.state == "present" else ""
    if hidden and now and spec.state == "present" and now.content != spec.content:
        after = after.replace("(content not shown)", "(content not shown, changed)")
    return {"before_header": spec.path, "after_header": spec.path, "before": before, "after": after}


def _same(spec: FileSpec, now: Present | None) -> bool:
    if spec.state == "absent":
        return now is None
    return now is not None and (now.content, now.owner, now.group, now.mode) == (
        spec.content,
        spec.owner,
        spec.group,
        spec.mode,
    )


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


def restart(service: ServiceSpec, systemd: Systemd, run: Run, instead: Sequence[str] = ()) -> None:
    """Restart a unit, or run the command `instead`, and return once it is up and every probe has had its answer.

    Raises SlurmrestError when it does not come up, does not stay up, or does not answer within its timeout.
    """
    # A unit that failed before may have used up its start limit; this also sets its count of restarts to 0.
    systemd.attempt("reset-failed", service.name)
    if instead:
        programs.demand(run(instead, limit=INSTEAD_SECONDS))
    else:
        systemd.command("restart", service.name)
    deadline = time.monotonic() + service.timeout
    waiting = list(service.probes)
    why = ""
    while True:
        state = systemd.show(service.name)
        active = state.get("ActiveState")
        if state.get("ConditionResult") == "no" and active == "inactive":
            raise SlurmrestError(f"{service.name}: a condition of the unit is not met, systemd skipped its start")
        if active in ("failed", "inactive") or number(state, "NRestarts") > 0:
            raise SlurmrestError(
                "{} does not stay up ({}, result {})".format(service.name, active, state.get("Result"))
            )
        if active == "active":
            while waiting:
                left = max(deadline - time.monotonic(), SHORTEST_SECONDS)
                why = probe_error(waiting[0], run, left) or ""
                if why:
                    break
                waiting.pop(0)
            if not waiting:
                return
        if time.monotonic() > deadline:
            raise SlurmrestError(f"{service.name} gave no answer within {service.timeout:.0f} s: {why or active}")
        time.sleep(POLL_SECONDS)


def there_before(systemd: Systemd, unit: str, since: float) -> str:
    """What to add where a unit does not come up on what it had before either: that says whose fault it is."""
    lines = systemd.journal(unit, since).splitlines()
    fatal = next((at for at, line in enumerate(lines) if "fatal:" in line), None)
    words = [line for line in lines[fatal:] if not line.startswith(f"{unit}.service:")] if fatal is not None else []
    return " So the fault was there before" + (f": {' '.join(words)}" if words else "")


class Memory(Protocol):
    """Remembers what things were like before their first change (:class:`~.baseline.Origin`)."""

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

    def apply(self, *, check: bool = False, hold: bool = False) -> Outcome:
        """Make it so, or with ``check`` only say what would change.

        With ``hold`` the way back stays open, because other hosts may still refuse: until :meth:`commit` or
        :meth:`undo`, or until the next run, which takes it for a killed one and undoes it.

        Raises InputError for unknown owners, TransactionFailed when a daemon refuses (previous state restored), and
        SlurmrestError when the host lock is held for too long.
        """
        begin = time.monotonic()
        outcome = Outcome()
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

    def undo(self) -> Outcome:
        """Bring back what a held (or killed) transaction changed, and its services on that.

        Raises SlurmrestError when a service does not come up on the previous files.
        """
        outcome = Outcome()
        with host_lock(self.state_dir):
            stale = self._recover(outcome)
            for service in self.services:
                if service.name in stale:
                    restart(service, self._systemd, self.run)
                    outcome.restarted.append(service.name)
        outcome.changed = bool(outcome.recovered or outcome.restarted)
        return outcome

    # -- comparing ----------------------------------------------------------------------------------------------------

    def _plan(self, outcome: Outcome, *, resolve_owners: bool) -> list[tuple[FileSpec, Present | None]]:
        pending: list[tuple[FileSpec, Present | None]] = []
        for directory in self.directories:
            if resolve_owners:
                _uid(directory.owner), _gid(directory.group)
            if not self._directory_is_right(directory):
                outcome.changed = True
                outcome.changed_paths.append(directory.path)
        for spec in self.files:
            if resolve_owners and spec.state == "present":
                _uid(spec.owner), _gid(spec.group)
            now = read_present(spec.path)
            if not _same(spec, now):
                pending.append((spec, now))
                outcome.changed_paths.append(spec.path)
                outcome.diff.append(_diff(spec, now))
        outcome.changed = outcome.changed or bool(pending)
        for service in self.services:
            self._plan_service(service, bool(pending), outcome)
        return pending

    def _plan_service(self, service: ServiceSpec, files_change: bool, outcome: Outcome) -> None:
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

    def _execute(self, outcome: Outcome, stale: Sequence[str], *, hold: bool) -> None:
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
                units=before,
            )

    def _make_directories(self) -> None:
        for spec in self.directories:
            files.make_directory(spec.path, _uid(spec.owner), _gid(spec.group), spec.mode)

    @staticmethod
    def _write_files(pending: Sequence[tuple[FileSpec, Present | None]]) -> None:
        for spec, now in pending:
            path, secret = files.real(spec.path), spec.sensitive
            if spec.state == "absent":
                files.rename_beside(path, path + ROLLBACK_SUFFIX)
                continue
            if now is not None:
                owner, group = _uid(now.owner), _gid(now.group)
                copy = path + ROLLBACK_SUFFIX
                files.write(copy, now.content, owner, group, now.mode, copy_of=path, secret=secret)
            files.have_parents(path)
            owner, group = _uid(spec.owner), _gid(spec.group)
            files.write(path, spec.content or b"", owner, group, spec.mode, secret=secret)

    def _bring_down(self, service: ServiceSpec, outcome: Outcome) -> None:
        """While the old unit is still there: it knows its own directories, and what enabling it linked."""
        if service.name in outcome.stopped or (service.afresh and service.name in outcome.restarted):
            self._systemd.command("stop", service.name)
        if service.enabled is False and self._systemd.show(service.name).get("UnitFileState") == "enabled":
            self._systemd.command("disable", "--quiet", service.name)

    def _bring_up(self, service: ServiceSpec, outcome: Outcome) -> None:
        if service.enabled:
            self._systemd.command("enable", "--quiet", service.name)
        if service.name in outcome.started or service.name in outcome.restarted:
            restart(service, self._systemd, self.run, service.instead if service.name in outcome.restarted else ())

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

    def _recover(self, outcome: Outcome) -> list[str]:
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
                    restart(service, self._systemd, self.run)
                except SlurmrestError as error:
                    problems.append(f"on the previous files: {error}{there_before(self._systemd, service.name, since)}")
            else:
                self._systemd.attempt("reset-failed", service.name)
                self._systemd.attempt("stop", service.name)
        files.remove(self._journal, missing_ok=True)
        return problems

    def _forget(self, record: Mapping[str, Any]) -> None:
        """Remove the rollback copies of a transaction that holds, and its journal last."""
        for entry in record["files"]:
            files.remove(entry["path"] + ROLLBACK_SUFFIX, missing_ok=True)
        files.remove(self._journal, missing_ok=True)
