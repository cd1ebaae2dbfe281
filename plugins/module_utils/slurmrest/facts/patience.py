"""The facts of a host on which slurmdbd and slurmctld answer, where they were only just started: before all questions.

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

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..host.programs import Run

SECONDS = 15.0
"""For one question to slurmctld."""


def patient(look: Callable[[], dict[str, Any]], run: Run = programs.run) -> dict[str, Any]:
    """What `look` finds, and finds again where a daemon of this host had to be waited for."""
    facts = look()
    answers = {DATABASE: partial(_database_answers, facts), CONTROLLER: partial(_controller_answers, facts, run)}
    waited = [_waited(facts["units"][daemon].get("begun"), there) for daemon, there in answers.items()]
    return look() if any(waited) else facts


def _waited(begun: float | None, there: Callable[[], bool]) -> bool:
    return begun is not None and awaited(there, lambda: time.monotonic() - begun)


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
