"""Whether slurmctld or slurmdbd answers: probes by a program or a connection, which take little along."""

from __future__ import annotations

from ..host import programs
from ..host.programs import Run
from ..slurm.controller_ping import own
from .probes import PLAIN, PROBE_TIMEOUT, Probe, plain_error

KINDS = (*PLAIN, "controller")
"""Of probes that can be asked like this."""


def ping_error(probe: Probe, run: Run = programs.run, limit: float = PROBE_TIMEOUT) -> str | None:
    """Ask once; as :func:`.probes.plain_error`, and a probe of the kind ``controller``, too."""
    if probe.kind != "controller":
        return plain_error(probe, run, limit)
    done = run(probe.target, limit=limit)
    return _controller_error(done.stdout) if done.returncode == 0 else programs.words(done)


def _controller_error(ping: str, host: str = "") -> str | None:
    """None when the controller of this host answers, or is not known by its name."""
    mine = own(ping, host)
    return None if not mine or "UP" in mine.values() else f"scontrol ping: {mine}"
