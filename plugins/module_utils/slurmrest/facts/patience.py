"""A wait for slurmdbd and slurmctld of a host, where they were only just started: before all questions.

What a playbook asks afterwards, by whatever program, finds daemons that have had their time (:mod:`..slurm.starting`).
"""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Callable

from ..host import programs
from ..host.ports import listening_ports
from ..slurm.commands import Slurm
from ..slurm.controller_ping import own, states
from ..slurm.daemons import CONTROLLER, DATABASE
from ..slurm.ports import ports_of
from ..slurm.starting import awaited
from ..systemd import show
from ..systemd.state import state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..host.programs import Run

_PROPERTIES = "ActiveState,SubState,Job,InactiveExitTimestampMonotonic"

SECONDS = 15.0
"""For one question to slurmctld."""


def wait(facts: Mapping[str, Any], run: Run = programs.run) -> bool:
    """Wait for those daemons that were still starting when these facts were read; whether that took a while."""
    answers = {DATABASE: partial(_database_answers, facts), CONTROLLER: partial(_controller_answers, facts, run)}
    starting = [daemon for daemon in answers if facts["units"][daemon]["starting"]]
    waits = [_waited(daemon, answers[daemon], run) for daemon in starting]
    return any(waits)


def _waited(daemon: str, there: Callable[[], bool], run: Run) -> bool:
    begun = time.monotonic() - show.age(state(run, daemon, _PROPERTIES))
    return awaited(there, lambda: time.monotonic() - begun)


def _database_answers(facts: Mapping[str, Any]) -> bool:
    """Whether slurmdbd of this host listens, which it does once it has its database.

    Also where it is not known to: one that stands by listens when it takes over, and one may have another file.
    """
    conf = facts["slurmdbd_conf"]
    first = [host.partition(".")[0] for host in conf["dbd_hosts"][:1]]
    standby = len(conf["dbd_hosts"]) > 1 and first != [os.uname().nodename.partition(".")[0]]
    return standby or not conf["readable"] or any(listening_ports(ports_of(conf["dbd_port"])))


def _controller_answers(facts: Mapping[str, Any], run: Run) -> bool:
    """Whether slurmctld of this host answers, in charge or not; true where there is no scontrol to ask it with."""
    done = Slurm.of(facts, run).ask("scontrol", "ping", limit=SECONDS)
    return done.returncode == programs.MISSING or "UP" in (own(done.stdout) or states(done.stdout)).values()
