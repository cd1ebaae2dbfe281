"""Merging into the site's own slurm.conf and slurmdbd.conf on one host: judge, write, restart, take back.

What a file lacks is :mod:`.comparison`'s business, texts :mod:`..slurm.conf_edit`'s, files and restarts
:mod:`..transaction.transaction`'s. Here it is decided

* whether a restart would activate somebody's edit that the daemon has not loaded yet (:mod:`..systemd.loaded_conf`);
* whether the release's own parser takes the result, before it goes live. No daemon of any release can only check a
  file, but ``scontrol`` reads all of slurm.conf before it does anything, and ``slurmdbd -V`` all of slurmdbd.conf
  before it prints its version (``src/scontrol/scontrol.c``, ``src/slurmdbd/slurmdbd.c``: the same from the first to the
  last release of the table). They read a candidate in a directory that only root can enter, or who runs them: the
  account that has a say in the files (slurmdbd.conf is SlurmUser's), since a file can include any other;
* how many hosts change together: with ``hold`` a host keeps its previous files until :meth:`Part.commit`.

A password never gets into a result: differences and what daemons say are shown without (:mod:`..redaction`).
"""

from __future__ import annotations

import os
import posixpath
import re
import tempfile
import time
from collections.abc import Mapping

from ..errors import SlurmrestError
from ..host import acl, files, programs, reading
from ..host.decider import decider, groups_of
from ..host.identity import group_name, owner_name
from ..host.lock import POLL_SECONDS
from ..host.our_files import STATE_DIR
from ..host.programs import Done, Run
from ..host.run_as import as_account
from ..redaction import redacted
from ..slurm.commands import Slurm
from ..slurm.conf import SlurmConf, lines
from ..slurm.conf_edit import Edit
from ..slurm.conf_secrets import without_secrets
from ..slurm.conf_text import read_text
from ..slurm.version import Excerpt
from ..systemd.loaded_conf import unloaded
from ..systemd.systemctl import Systemd
from ..transaction.comparison import Applied
from ..transaction.ping import ping_error
from ..transaction.probes import Probe
from ..transaction.restart_evidence import outlook
from ..transaction.restart_wiring import judges
from ..transaction.services import restart
from ..transaction.specs import FileSpec, ServiceSpec
from ..transaction.transaction import Transaction, TransactionFailed
from .comparison import Comparison, Look, digest_of, printable
from .request import MergeRequest

PATIENCE = 120.0
"""Seconds that a daemon may take for its first answer: slurmctld reads the state of all jobs first."""

SHARED_SECONDS = 90.0
"""How long a host may not see yet what another one wrote: NFS keeps attributes of files for up to a minute."""

CHECK_SECONDS = 20.0
"""Seconds that a program may take to read a file."""

MOUNTS = "/proc/self/mountinfo"

_ASSERT = "Change it where it is made: slurm_conf_mode: assert names the lines."
_OCTAL = re.compile(r"\\([0-7]{3})")


def _obstacle(file: str) -> str | None:
    """Why a file cannot be replaced by rename; None when it can."""
    try:
        files.read(file)
        real = files.real(file)
    except reading.UnsafePath as error:
        return str(error)
    if acl.acl(real) and posixpath.basename(file) == "slurmdbd.conf":
        others = ", ".join(map(str, acl.acl(real)))
        return f"{file} holds a password and has an access control list: {others}. Remove it: setfacl -b {real}"
    if not all(os.access(path, os.W_OK) for path in (real, os.path.dirname(real))):
        why = "it or its directory cannot be written: a read-only mount, NFS with root_squash, an immutable file?"
    elif real in _mount_points():
        why = "it is mounted by itself, as into a container."
    else:
        return None
    return f"{file} cannot be replaced on this host: {why} {_ASSERT}"


def _mount_points() -> set[str]:
    text = read_text(MOUNTS) or ""
    return {_OCTAL.sub(lambda match: chr(int(match[1], 8)), line.split()[4]) for line in text.splitlines()}


class Part(Comparison):
    """One configuration of this host, with the daemon that runs on it.

    ``table`` is what :func:`..transaction.restart_wiring.judges` is given.
    """

    def __init__(
        self, request: MergeRequest, run: Run = programs.run, state_dir: str = STATE_DIR, table: Excerpt = ()
    ) -> None:
        super().__init__(request, run, state_dir)
        self.table = table
        self.systemd = Systemd(run)

    # -- looking ------------------------------------------------------------------------------------------------------

    def look(self) -> Look:
        """Compare, and ask everybody who can say no. Raises SlurmrestError when the files cannot be merged."""
        look = self.compare()
        edit = look.edit
        look.unfinished = self._transaction(Edit()).unfinished()
        for file, text in sorted(edit.texts.items()):
            before = self.text(file) or ""
            look.digests[file] = digest_of(before)
            look.diff.append(
                {
                    "before_header": file,
                    "after_header": file,
                    "before": printable(redacted(before)),
                    "after": printable(redacted(text)),
                }
            )
        if edit.texts:
            look.obstacles = [obstacle for obstacle in map(_obstacle, sorted(edit.texts)) if obstacle]
            if look.running:
                look.restart, look.unseen = outlook([self._service()], self.run, self.table, dict(edit.texts))
            refusal = self._refusal(edit)
            if refusal is None:
                program = self._parser()[0]
                look.unseen.append(f"{self.request.path} goes live unread: {program} is not there, or too slow.")
            stands = (self._unloaded(look), refusal, *look.restart)
            look.problems = [problem for problem in stands if problem]
        return look

    # -- what stands against it ---------------------------------------------------------------------------------------

    def _unloaded(self, look: Look) -> str | None:
        """Why a restart would activate somebody's edit; None when it would not."""
        if not look.running:
            return None
        found = unloaded(
            self.unit,
            self.request.path,
            slurm=self._programs(self.request.path),
            systemd=self.systemd,
            beside_includer=self.request.beside_includer,
        )
        if found is None:
            return None
        load = "sacctmgr reconfigure" if self.unit == "slurmdbd" else "scontrol reconfigure"
        return (
            f"{found}: a restart would activate somebody's edit. Look at it, let {self.unit} load it "
            f"({load}, or a restart), and run this again."
        )

    def _refusal(self, edit: Edit) -> str | None:
        """What the release's own parser says of the result; empty when it is content, None when nobody could ask it."""
        words = self._parse(edit)
        if not words:
            return words
        already = self._parse(Edit())
        if already:
            return f"Slurm refuses {self.request.path} as it is, so that a restart would end the daemon: {already}"
        return f"Slurm refuses {self.request.path} with the change: {words}"

    def _parser(self) -> list[str]:
        """What reads all of the file before anything else."""
        return ["slurmdbd", "-V"] if self.request.kind == "slurmdbd" else ["scontrol", "show", "hostnames", "localhost"]

    def _parse(self, edit: Edit) -> str | None:
        conf = self._conf(edit)
        # On /run nothing outlives a reboot, and nothing reaches a disk.
        parent = "/run" if os.path.isdir("/run") and os.access("/run", os.W_OK) else None
        with tempfile.TemporaryDirectory(prefix="slurmrest-", dir=parent) as directory:
            names = self._candidate(conf, edit, directory)
            run = self._reader(conf, directory)
            done = self._slurm(posixpath.join(directory, "slurm.conf"), *self._parser(), run=run)
        if done is None:
            return None
        if done.returncode == 0:
            return ""
        words = without_secrets(done.stderr + done.stdout, conf.raw).strip()
        for candidate, original in names.items():
            words = words.replace(candidate, original)
        return "; ".join(dict.fromkeys(words.splitlines())) or f"exit {done.returncode}"

    def _reader(self, conf: SlurmConf, directory: str) -> Run:
        """How a program reads the files: as whoever has a say in them, who gets into the directory for that."""
        uid = decider(conf.files)
        if not uid:
            return self.run
        gid, further = groups_of(uid)
        files.make_directory(directory, 0, gid, 0o710)
        return as_account(self.run, uid, gid, further)

    def _candidate(self, conf: SlurmConf, edit: Edit, directory: str) -> dict[str, str]:
        """Write the configuration into a directory of its own; returns the original of each file there."""
        paths = list(dict.fromkeys(conf.files))
        main = "slurmdbd.conf" if self.request.kind == "slurmdbd" else "slurm.conf"
        names = {
            file: posixpath.join(directory, main if number == 0 else f"include-{number}.conf")
            for number, file in enumerate(paths)
        }
        includes = {(file, line): names.get(path, path) for file, line, path in conf.includes}
        for file, name in names.items():
            text = edit.texts[file] if file in edit.texts else self.text(file) or ""
            parts = []
            for line in lines(text):
                raw = text[line.start : line.end]
                target = includes.get((file, line.number))
                # As many lines as before, so that Slurm's messages name the right one.
                parts.append(raw if target is None else f"Include {target}" + (raw.count("\n") or 1) * "\n")
            status = os.stat(file)
            data = "".join(parts).encode("utf-8", "surrogateescape")
            files.write(name, data, status.st_uid, status.st_gid, status.st_mode & 0o777)
        # What else it may look for beside it.
        beside = posixpath.dirname(self.request.path)
        for entry in os.listdir(beside):
            link = posixpath.join(directory, entry)
            if not os.path.lexists(link) and entry not in ("slurm.conf", "slurmdbd.conf"):
                os.symlink(posixpath.join(beside, entry), link)
        return {name: file for file, name in names.items()}

    def _programs(self, conf: str, run: Run | None = None) -> Slurm:
        return Slurm(conf, self.request.prefix, run or self.run)

    def _slurm(self, conf: str, program: str, *words: str, run: Run) -> Done[str] | None:
        """Run a program of Slurm on a configuration; None where it is not there, or too slow."""
        slurm = self._programs(conf, run)
        if slurm.find(program) is None:
            return None
        done = slurm.ask(program, *words, limit=CHECK_SECONDS)
        return None if done.returncode == programs.TOO_SLOW else done

    # -- doing --------------------------------------------------------------------------------------------------------

    def apply(
        self,
        *,
        digests: Mapping[str, str] | None = None,
        force: bool = False,
        hold: bool = False,
        wait: bool = False,
    ) -> Applied:
        """Write, restart the daemon if it runs, and wait for its answer; all of it or nothing.

        Args:
            digests: of the files as :meth:`look` saw them; when one has changed since, nothing is done.
            force: restart the daemon also when the files are right already (another host wrote them).
            hold: keep the previous files until :meth:`commit` or :meth:`undo`.
            wait: another host wrote the files; wait until this one sees that.

        Raises:
            SlurmrestError: a file changed meanwhile, or cannot be replaced.
            TransactionFailed: the daemon refused, the previous files are back.
        """
        # What a killed run left, or held, is no state to start from.
        recovered = self._transaction(Edit()).undo().recovered
        edit = self._seen() if wait else self._edit()
        for file in edit.texts:
            if digests is not None and not recovered and digest_of(self.text(file) or "") != digests.get(file):
                raise SlurmrestError(f"{file} was changed by somebody while this ran. Nothing was done; run it again.")
            obstacle = _obstacle(file)
            if obstacle:
                raise SlurmrestError(f"{obstacle} Nothing was done here.")
        secrets = self._conf().raw
        try:
            outcome = self._transaction(edit, force=force).apply(hold=hold)
        except TransactionFailed as error:
            words = without_secrets(str(error), secrets)
            raise TransactionFailed(
                words, rolled_back=error.rolled_back, journal=without_secrets(error.journal, secrets)
            ) from None
        outcome.recovered = recovered
        return outcome

    def _seen(self) -> Edit:
        """What is left to do once this host sees what another one wrote, or has waited long enough."""
        deadline = time.monotonic() + SHARED_SECONDS
        while (edit := self._edit()).texts and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return edit

    def commit(self) -> None:
        """Forget the previous files."""
        self._transaction(Edit()).commit()

    def undo(self, *, ran: bool = True) -> Applied:
        """Bring the previous files back, and the daemon on them where it `ran` before.

        Also one that is down because another host wrote the files that it did not survive.
        """
        outcome = self._transaction(Edit()).undo()
        if ran and self.unit and self.systemd.show(self.unit).get("ActiveState") == "failed":
            restart(self._service(), self.systemd, self.run, ping_error)
            outcome.restarted.append(self.unit)
        return outcome

    def _transaction(self, edit: Edit, *, force: bool = False) -> Transaction:
        return Transaction(
            name=self.transaction,
            files=[self._file(file, text) for file, text in sorted(edit.texts.items())],
            services=[self._service(force=force)] if self.unit else [],
            run=self.run,
            state_dir=self.state_dir,
            judges=judges(self.table),
        )

    def _file(self, path: str, text: str) -> FileSpec:
        status = files.status(path)
        return FileSpec(
            path,
            text.encode("utf-8", "surrogateescape"),
            owner=owner_name(status.st_uid),
            group=group_name(status.st_gid),
            mode=status.st_mode & 0o777,
            sensitive=posixpath.basename(path) == "slurmdbd.conf",
            shown=False,
        )

    def _service(self, *, force: bool = False) -> ServiceSpec:
        return ServiceSpec(
            self.unit,
            state="restarted" if force else "if_running",
            probes=tuple(self._probes()),
            timeout=PATIENCE,
            allow_state_loss=self.request.allow_state_loss,
        )

    def _probes(self) -> list[Probe]:
        conf = self._conf()
        if self.unit == "slurmdbd":
            return [Probe("tcp", (f"localhost:{conf.get('DbdPort', '6819')}",))]
        ask = Probe("command", self._programs(self.request.path).argv("scontrol", "ping"))
        if "noctldinaddrany" in (conf.get("CommunicationParameters") or "").lower():
            return [ask]
        # scontrol is content when any controller answers: this one must, too.
        port = (conf.get("SlurmctldPort", "6817") or "").partition("-")[0]
        return [Probe("tcp", (f"localhost:{port}",)), ask]


def advice(look: Look) -> list[str]:
    """How to do by hand what a look found, line by line."""
    said: list[str] = []
    where = ""
    for change in look.edit.changes:
        if change.old is not None or change.where != where:
            said.append(f"{change.where}:")
        where = change.where
        said += [f"  - {line}" for line in printable(change.old or "").split("\n") if line]
        said += [f"  + {line}" for line in printable(change.new or "").split("\n") if line]
    if look.changed and look.running:
        said.append(f"then: systemctl restart {look.kind}")
    return said
