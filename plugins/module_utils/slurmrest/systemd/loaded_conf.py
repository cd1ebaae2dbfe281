"""Whether a running daemon has loaded what its files say: the one answer for whoever is about to restart it.

A restart, or a reconfigure, brings everything into force that is in the files by then, somebody's unfinished edit too.
For slurm.conf and what it includes, slurmctld's own checksum of what it has loaded says so (``HASH_VAL`` of ``scontrol
show config``): it also tells a file that was loaded by a reconfigure from one that was not. For what it reads besides,
for slurmdbd, and where slurmctld does not say, the time counts at which systemd started the daemon; a slurmctld that
takes another process for a reconfigure counts from there.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..slurm.commands import Slurm
from ..slurm.conf import SlurmConf, read
from ..slurm.conf_edit import unmerge
from ..slurm.conf_hash import hash_values
from ..slurm.conf_text import read_text
from ..slurm.controller_ping import states
from .show import number, running
from .systemctl import Systemd

CONTROLLER = "slurmctld"
SECONDS = 20.0
"""Seconds that scontrol gets for its answer."""

BESIDE_SLURM_CONF = (
    "acct_gather.conf",
    "burst_buffer.conf",
    "cgroup.conf",
    "gres.conf",
    "helpers.conf",
    "job_container.conf",
    "mpi.conf",
    "topology.conf",
    "topology.yaml",
)
"""What slurmctld reads besides slurm.conf and its includes."""

SLACK_SECONDS = 1.0
_STARTED = "ExecMainStartTimestampMonotonic"
_HASH = re.compile(
    r"^HASH_VAL\s*=\s*(?:(?P<match>Match)|Different Ours=\S+ Slurmctld=0x(?P<loaded>[0-9a-f]+))", re.MULTILINE
)


@dataclass(frozen=True)
class Unloaded:
    """An edit that ``daemon`` has not loaded: the files that hold it, or one of which does (``by_checksum``)."""

    daemon: str
    files: tuple[str, ...]
    by_checksum: bool

    def __str__(self) -> str:
        if self.by_checksum:
            return f"{' or '.join(self.files)} is not what {self.daemon} has loaded"
        return f"{', '.join(self.files)} changed after {self.daemon} was started"


def unloaded(
    daemon: str, path: str, *, slurm: Slurm, systemd: Systemd, beside_includer: bool = False
) -> Unloaded | None:
    """The edit that a restart of a daemon would bring into force, our own lines aside; None where there is none.

    Args:
        daemon: slurmctld or slurmdbd.
        path: its main file.
        slurm: asks slurmctld.
        systemd: knows since when it runs; a daemon that does not run has nothing loaded.
        beside_includer: as for :func:`..slurm.conf.read`.
    """
    state = systemd.show(daemon, f"ActiveState,{_STARTED}")
    conf = read(path, read_text, beside_includer=beside_includer) if running(state) else None
    if conf is None:
        return None
    read_first = list(dict.fromkeys(conf.files))
    beside = []
    if daemon == CONTROLLER:
        loaded = _has_loaded(conf, slurm, beside_includer)
        if loaded is False:
            return Unloaded(daemon, tuple(read_first), by_checksum=True)
        read_first = [] if loaded else read_first
        beside = [posixpath.join(posixpath.dirname(path), name) for name in BESIDE_SLURM_CONF]
    since = number(state, _STARTED)
    began = time.time() - (time.monotonic() - since / 1e6) if since else time.time()
    newer = tuple(file for file in [*read_first, *beside] if _changed(file) > began + SLACK_SECONDS)
    return Unloaded(daemon, newer, by_checksum=False) if newer else None


def of_host(facts: Mapping[str, Any], names: Sequence[str], *, slurm: Slurm, systemd: Systemd) -> dict[str, Unloaded]:
    """The same for several daemons of a host; `facts` are those of :func:`..facts.host.look`."""
    beside_includer = bool((facts["release"] or {}).get("include_beside_includer"))
    found = {}
    for name in names:
        path = facts["slurm_conf" if name == CONTROLLER else "slurmdbd_conf"]["path"]
        edit = unloaded(name, path, slurm=slurm, systemd=systemd, beside_includer=beside_includer)
        if edit is not None:
            found[name] = edit
    return found


def _changed(file: str) -> float:
    with contextlib.suppress(OSError):
        return os.stat(file).st_mtime
    return 0.0


def _has_loaded(conf: SlurmConf, slurm: Slurm, beside_includer: bool) -> bool | None:
    """Whether slurmctld has loaded what is in its files, our own change aside; None when it does not say.

    Nor does the one in charge of the files of a backup, which may be others: a key at a place of its own.
    """
    if slurm.find("scontrol") is None:
        return None
    said = slurm.ask("scontrol", "show", "config", limit=SECONDS).stdout
    match = _HASH.search(said)
    if match is None or match["match"]:
        return None if match is None else True
    texts = unmerge(conf.path, read_text, beside_includer=beside_includer).texts
    without = conf
    if texts:
        without = (
            read(
                conf.path,
                lambda path: texts[path] if path in texts else read_text(path),
                beside_includer=beside_includer,
            )
            or conf
        )
    if int(match["loaded"], 16) in hash_values(without.raw):
        return True
    return False if _leads(said, slurm) else None


def _leads(said: str, slurm: Slurm) -> bool:
    """Whether slurmctld of this host is the one that answers: it tells of a backup's files nothing but the same."""
    found = states(said) or states(slurm.ask("scontrol", "ping").stdout)
    up = [role.split()[-1].partition(".")[0] for role, state in found.items() if state == "UP"]
    own = os.uname().nodename.partition(".")[0]
    return len(found) < 2 or own not in up or own == up[0]
