"""One host's part in giving a cluster a new JWT key: look, switch daemon by daemon, go back, or keep.

A rotation spans hosts, so a host cannot decide alone when it is over. It keeps a journal under
:data:`~..host.our_files.STATE_DIR` until it is told (:meth:`KeyOnHost.keep` or :meth:`KeyOnHost.undo`); the previous
key stays beside the new one as a hard link: the same file, so the same owner and mode, and no secret is copied. What is
done in which order on which host is in :mod:`.order`.

Every step takes the lock of the host, so a step that outlived its controller is waited for. Keys are only ever renamed
and linked here; the one step that reads them is :meth:`KeyOnHost.sign`.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import pwd
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable

from ..auth import key_files, keys, signing
from ..errors import InputError, SlurmrestError
from ..host import files, programs
from ..host.child import holds_for
from ..host.files import save_record
from ..host.lock import host_lock
from ..host.our_files import STATE_DIR
from ..host.programs import Run
from ..host.records import load_record
from ..slurm.commands import RECONFIGURE, Slurm
from ..slurm.daemons import CONTROLLER, DATABASE
from ..slurm.ports import ports_of
from ..systemd.show import number, running
from ..systemd.systemctl import Systemd
from ..transaction.ping import ping_error
from ..transaction.services import restart, there_before
from ..transaction.specs import ServiceSpec
from ..transaction.transaction import ROLLBACK_SUFFIX

NEXT_SUFFIX = ".slurmrest-next"

SHARED_FILESYSTEMS = {
    *("afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.sshfs", "gfs2", "gpfs", "lustre"),
    *("nfs", "nfs4", "ocfs2", "orangefs", "panfs", "smb3", "wekafs"),
}
"""File systems that several hosts may mount: a key on one of them would change under the feet of every daemon."""

_COMPARISON = b"slurmrest: are these keys the same?\0"


class SwitchFailed(SlurmrestError):
    """A daemon refused the new key; this host is back on the old one, but for what ``problems`` names."""

    def __init__(self, message: str, *, words: str, problems: Sequence[str]) -> None:
        super().__init__(message)
        self.words = words
        self.problems = list(problems)

    def __str__(self) -> str:
        said = "; ".join([self.message, *self.problems])
        return f"{said}\nThe daemon's own words:\n{self.words}" if self.words else said


def is_listening(ports: Sequence[int], tables: Sequence[str] = ("/proc/net/tcp", "/proc/net/tcp6")) -> bool:
    """Whether something listens on one of these TCP ports, on whatever address. Source: proc(5), 0A in net/tcp."""
    for table in tables:
        with contextlib.suppress(OSError), open(table, encoding="ascii") as stream:
            rows = (line.split() for line in stream)
            if any(len(row) > 3 and row[3] == "0A" and int(row[1].rpartition(":")[2], 16) in ports for row in rows):
                return True
    return False


@dataclass
class KeyOnHost:
    """The key of one host and the daemons that have it in memory.

    ``reader`` is the account that reads it (SlurmUser). ``services`` are the daemons of this host, slurmdbd first;
    ``ports`` says for each of them where it listens once it is up. ``conf`` and ``prefix`` are those of Slurm's
    programs (:class:`~..slurm.commands.Slurm`).
    """

    path: str
    reader: str
    services: Sequence[ServiceSpec] = ()
    state_dir: str = STATE_DIR
    run: Run = programs.run
    ports: Mapping[str, Sequence[int]] = field(default_factory=dict)
    listening: Callable[[Sequence[int]], bool] = is_listening
    conf: str = ""
    prefix: str = ""
    _systemd: Systemd = field(init=False)
    slurm: Slurm = field(init=False)

    def __post_init__(self) -> None:
        if not os.path.isabs(self.path):
            raise InputError("path", self.path, "an absolute path")
        self._systemd = Systemd(self.run)
        self.slurm = Slurm(self.conf, self.prefix, self.run)
        self._real = files.real(self.path)
        self._next = self._real + NEXT_SUFFIX
        self._copy = self._real + ROLLBACK_SUFFIX
        self._journal = key_files.rotation_record(self.path, self.state_dir)

    # -- looking ------------------------------------------------------------------------------------------------------

    def look(self, nonce: str) -> dict[str, Any]:
        """What the conductor has to know of this host; changes nothing, and waits for a step that is still under way.

        `nonce` is the same for all hosts of a run: equal keys give equal ``proof`` values, which say nothing else.
        """
        with host_lock(self.state_dir) if os.path.isdir(self.state_dir) else contextlib.nullcontext():
            record = self.record()
            return {
                "key": self._describe(self._real, nonce),
                "next": self._describe(self._next, nonce),
                "copy": os.path.lexists(self._copy),
                "pending": record,
                "idle": self._idle_seconds() if record else None,
                "shared_filesystem": shared_filesystem(self._real),
                "active": [service.name for service in self.services if self._is_active(service.name)],
            }

    def record(self) -> dict[str, Any] | None:
        """The journal of a rotation that has begun and not ended on this host, or None."""
        return load_record(self._journal)

    def _describe(self, path: str, nonce: str) -> dict[str, Any]:
        try:
            content = files.read(path)
        except FileNotFoundError:
            return {"exists": False, "refusals": [], "proof": ""}
        refusals = keys.key_file_problems(path, self.reader)
        if not refusals and not readable_as(path, self.reader):
            refusals = [f"{path} cannot be read by {self.reader}, whatever its mode says"]
        proof = hmac.new(content, _COMPARISON + nonce.encode(), hashlib.sha256).hexdigest()
        return {"exists": True, "refusals": refusals, "proof": proof}

    def _idle_seconds(self) -> float:
        return max(0.0, time.time() - os.stat(self._journal).st_mtime)

    def _is_active(self, unit: str) -> bool:
        return running(self._systemd.show(unit))

    def sign(self, user: str, lifespan: int) -> dict[str, str]:
        """Tokens of `user` for `lifespan` seconds: ``old`` by the key in force, ``new`` by the waiting one, if any."""
        tokens = {}
        for name, path in (("old", self._real), ("new", self._next)):
            with contextlib.suppress(FileNotFoundError):
                tokens[name] = signing.encode(
                    signing.claims_for(user, lifespan), signing.Key(files.read(path))
                ).reveal()
        return tokens

    # -- doing --------------------------------------------------------------------------------------------------------

    def begin(self, rotation: str) -> None:
        """Write the journal of rotation `rotation` before anything changes. Raises SlurmrestError if there is one."""
        with host_lock(self.state_dir):
            self._begin(rotation)

    def switch(self, rotation: str, names: Sequence[str], *, reconfigure: bool = False) -> None:
        """Put the waiting key in place, unless that is done, and have the named daemons load it.

        With `reconfigure` slurmctld loads it without a restart. Raises SwitchFailed when a daemon does not come up on
        it; then this host's daemons run on the old key again. Raises SlurmrestError before anything changed when the
        waiting key is not as it must be.
        """
        with host_lock(self.state_dir):
            record = self.record() or self._begin(rotation)
            if record["rotation"] != rotation:
                raise SlurmrestError(f"another rotation ({record['rotation']}) is under way on this host")
            since = time.time()
            try:
                if not record["switched"]:
                    self._swap(record)
                for name in names:
                    record["touched"].append(name)
                    save_record(self._journal, record)
                    self._load(name, reconfigure=reconfigure)
                save_record(self._journal, record)  # when a step ended tells whether its run is still alive
            except (SlurmrestError, OSError) as error:
                words = self._systemd.words(names, since)
                problems = self._go_back(record, reconfigure=reconfigure)
                raise SwitchFailed(str(error), words=words, problems=problems) from error

    def decide(self, rotation: str) -> None:
        """Note on the primary controller that the new key holds: from here on a killed run is finished, not undone."""
        with host_lock(self.state_dir):
            record = self.record()
            if record is None or record["rotation"] != rotation:
                raise SlurmrestError(f"the rotation {rotation} is not under way on this host")
            record["phase"] = "decided"
            save_record(self._journal, record)

    def keep(self, without: Sequence[str] = ()) -> None:
        """Forget the old key. The rollback copy goes first and the journal last.

        Hosts that the rotation went on `without` still have it: what it was is noted, so that it does not come back.
        """
        with host_lock(self.state_dir):
            self._retire(without)
            _remove(self._copy)
            _remove(self._next)
            _remove(self._journal)

    def _retire(self, without: Sequence[str]) -> None:
        file = key_files.retired_record(self.path, self.state_dir)
        notes = load_record(file) or {}
        if without:
            with contextlib.suppress(FileNotFoundError):  # of a run that got as far as this before
                old = hashlib.sha256(files.read(self._copy)).hexdigest()
                save_record(file, {**notes, self.path: {"digest": old, "without": list(without)}})
        elif notes.pop(self.path, None) and notes:
            save_record(file, notes)
        elif not notes:
            _remove(file)

    def undo(self, *, reconfigure: bool = False) -> list[str]:
        """Bring the old key back, and daemons that had loaded the new one back onto it; also finishes a killed undo.

        Returns the daemons that were told. Raises SlurmrestError when one of them does not come up; the journal stays
        then, so that the next run tries again.
        """
        with host_lock(self.state_dir):
            record = self.record()
            if record is None:
                _remove(self._next)
                return []
            told = list(dict.fromkeys(record["touched"]))
            problems = self._go_back(record, reconfigure=reconfigure)
            if problems:
                raise SlurmrestError("; ".join(problems))
            _remove(self._next)
            _remove(self._journal)
            return told

    # -- the steps of the steps ---------------------------------------------------------------------------------------

    def _begin(self, rotation: str) -> dict[str, Any]:
        if self.record() is not None:
            raise SlurmrestError("an interrupted rotation has to be repaired on this host first")
        record = {"rotation": rotation, "phase": "begun", "switched": False, "touched": []}
        save_record(self._journal, record)
        return record

    def _swap(self, record: dict[str, Any]) -> None:
        """Rename the waiting key over the one in force, which stays linked as the rollback copy."""
        # The directory may belong to SlurmUser: what is given to the key's owner here must be nothing but the key, and
        # what the owner is taken from no link to something of root's.
        now = files.status(self._real)
        files.take_over(self._next, now.st_uid, now.st_gid, now.st_mode & 0o777)
        refusals = keys.key_file_problems(self._next, self.reader)
        if refusals or not readable_as(self._next, self.reader):
            raise SlurmrestError("the new key is refused: " + ("; ".join(refusals) or f"{self.reader} cannot read it"))
        record["switched"] = True
        save_record(self._journal, record)
        files.link_beside(self._real, self._copy)
        files.rename_beside(self._next, self._real)

    def _load(self, name: str, *, reconfigure: bool) -> None:
        service = next((service for service in self.services if service.name == name), None)
        if service is None:
            raise InputError("services", name, ", ".join(service.name for service in self.services))
        instead = self.slurm.argv(*RECONFIGURE) if reconfigure and name == CONTROLLER else ()
        restart(service, self._systemd, self.run, ping_error, instead)
        self._await_listening(service)

    def _await_listening(self, service: ServiceSpec) -> None:
        """Return once the daemon has its port: it opens it after it has loaded its key, also when it stands by."""
        ports = self.ports.get(service.name, ())
        deadline = time.monotonic() + service.timeout
        while True:
            state = self._systemd.show(service.name)
            if state.get("ActiveState") in ("failed", "inactive") or number(state, "NRestarts") > 0:
                raise SlurmrestError(f"{service.name} does not stay up ({state.get('Result')})")
            if not ports or self.listening(ports):
                return
            if time.monotonic() > deadline:
                raise SlurmrestError(f"{service.name} listens on none of {ports} after {service.timeout:.0f} s")
            time.sleep(0.05)

    def _go_back(self, record: dict[str, Any], *, reconfigure: bool) -> list[str]:
        """Rename the old key back and have the daemons load it; return what did not work."""
        if os.path.exists(self._copy):
            if os.path.exists(self._real) and os.path.samefile(self._copy, self._real):
                files.remove(self._copy)  # linked, but not yet replaced: renaming one onto the other would do nothing
            else:
                files.rename_beside(self._copy, self._real)
        since = time.time()
        problems = [
            f"on the old key: {error}{there_before(self._systemd, name, since)}"
            for name in dict.fromkeys(record["touched"])
            if (error := self._load_again(name, reconfigure=reconfigure))
        ]
        if not problems:
            record.update(switched=False, touched=[])
        save_record(self._journal, record)
        return problems

    def _load_again(self, name: str, *, reconfigure: bool) -> SlurmrestError | None:
        """Have a daemon load what is in place: by reconfigure where that is asked for and works, else by restart."""
        try:
            self._load(name, reconfigure=reconfigure and self._is_active(name))
        except SlurmrestError as error:
            return self._load_again(name, reconfigure=False) if reconfigure else error
        return None


def _remove(path: str) -> None:
    files.remove(path, missing_ok=True)


def shared_filesystem(path: str, mountinfo: str = "/proc/self/mountinfo") -> str:
    """The type of the file system of `path` when other hosts may mount it too, otherwise an empty string."""
    best, kind = "", ""
    try:
        with open(mountinfo, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                head, _separator, tail = line.partition(" - ")
                point = head.split()[4].encode().decode("unicode_escape")
                inside = path == point or path.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(best):
                    best, kind = point, tail.split()[0]
    except OSError:
        return ""
    return kind if kind in SHARED_FILESYSTEMS else ""


def readable_as(path: str, account: str) -> bool:
    """Whether `account` really can open the file, asked as that account: so access control lists count too."""

    def opens() -> bool:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        return True

    return bool(holds_for(pwd.getpwnam(account), opens))


def expected_key(facts: Mapping[str, Any], name: str) -> str:
    """The path of the key that daemon `name` loads by its configuration; empty where it loads none."""
    return str(facts["slurm_conf" if name == CONTROLLER else "slurmdbd_conf"]["jwt_key_path"])


def daemon_ports(facts: Mapping[str, Any], name: str) -> list[int]:
    """The ports of daemon `name` by its configuration; slurmctld may have a range of them."""
    said = facts["slurm_conf"]["slurmctld_port"] if name == CONTROLLER else facts["slurmdbd_conf"]["dbd_port"]
    return list(ports_of(str(said)))


def named_hosts(facts: Mapping[str, Any], names: Sequence[str]) -> dict[str, list[str]]:
    """For each daemon that has the key, the hosts where the configuration of this host has it run, backups too."""
    conf = facts["slurm_conf"]
    said = conf["accounting_storage_hosts"] or ["localhost"] if conf["accounting"] else []
    databases = max(said, facts["slurmdbd_conf"]["dbd_hosts"] if DATABASE in names else [], key=len)
    return {CONTROLLER: list(conf["slurmctld_hosts"]), DATABASE: list(databases)}


def written_by_us(facts: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Whether this toolkit wrote the configuration of every daemon of this host that has the key."""
    return all(facts["slurm_conf" if name == CONTROLLER else "slurmdbd_conf"]["ours"] for name in names)
