"""A daemon that runs: its program and its configuration, and whose word they are."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..host.private import link
from ..host.proc import Account, all_the_while, whose
from ..host.process import process
from ..host.programs import NOBODY
from ..host.run_as import as_account
from ..host.trust import roots_alone
from .restart_obstacles import REST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..host.programs import Run

CONF = "/etc/slurm/slurm.conf"


@dataclass(frozen=True)
class Running:
    """What a process shows of itself, as :func:`..host.process.process` has it, and what follows from that.

    Attributes:
        account: as which what it names is run and read; root's only where all of it is root's alone.
        prefix: /usr of /usr/sbin/slurmctld.
        gone: the program that runs is not the one at that path any more.
        conf: slurm.conf, also of slurmdbd, which has its own beside it.
    """

    process: Mapping[str, Any] | None
    account: Account
    program: str
    prefix: str
    gone: bool
    conf: str

    def run_by(self, run: Run) -> Run:
        """How programs are run that it names."""
        return as_account(run, *self.account) if self.account[0] and os.geteuid() == 0 else run


def running_daemon(daemon: str, pid: int, run: Run) -> Running:
    """Look at the process of a daemon."""
    before = whose(pid)
    running = process(pid)
    program, gone = _program(daemon, pid, running, run)
    prefix = posixpath.dirname(posixpath.dirname(program))
    conf = _conf_path(running, prefix)
    account = all_the_while(before, pid)
    if account[0] == 0 and not _roots_own(daemon, program, conf, prefix):
        account = NOBODY, NOBODY, []
    return Running(running, account, program, prefix, gone, conf)


def _roots_own(daemon: str, program: str, conf: str, prefix: str) -> bool:
    """Whether what a process of root's names is root's alone to say.

    Where it is another program than the daemon's, somebody may have started that in the daemon's place.
    """
    usual = conf == CONF or posixpath.dirname(conf) == f"{prefix}/etc"
    return posixpath.basename(program).startswith(daemon) and roots_alone(program) and (usual or roots_alone(conf))


def _exec_start(unit: str, run: Run) -> list[str]:
    """The programs that systemd would start."""
    return re.findall(r"\bpath=(/\S+) ;", run(["systemctl", "show", "-p", "ExecStart", unit]).stdout)


def _conf_path(running: Mapping[str, Any] | None, prefix: str = "") -> str:
    """The slurm.conf of a process: by its command line, its environment, or the usual place of where it came from."""
    command: Sequence[str] = running["command"] if running else ()
    for at, word in enumerate(command):
        if word == "-f" and at + 1 < len(command):
            return command[at + 1]
        if word.startswith("-f/"):
            return word[2:]
    own = f"{prefix}/etc/slurm.conf"
    usual = own if prefix not in ("", "/usr") and os.path.exists(own) else CONF
    return ((running and running["environment"]) or {}).get("SLURM_CONF") or usual


def _program(daemon: str, pid: int, running: Mapping[str, Any] | None, run: Run) -> tuple[str, bool]:
    """Path of the program, and whether the one that runs is not the one at that path any more."""
    path = (link(pid, "exe", running["uid"], running["gid"]) if running else None) or ""
    path, deleted, _rest = path.partition(" (deleted)")
    # One that was renamed runs by its new name, and is not there for the unit.
    path = next((there for there in _exec_start(daemon, run) if not os.path.exists(there)), path)
    if daemon == REST and not os.path.exists(path):
        path = ""  # the unit that is about to be written may name another one
    return path, bool(deleted)
