"""Services restarted, and asked until they answer."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..errors import SlurmrestError
from ..host import programs
from ..host.lock import POLL_SECONDS
from ..host.programs import Run
from ..slurm.ending import ending
from ..systemd.show import number
from ..systemd.systemctl import Systemd
from .probes import probe_error
from .specs import ServiceSpec

INSTEAD_SECONDS = 120.0
"""For the command that has a unit take its files without a restart."""


SHORTEST_SECONDS = 0.1
"""That a probe gets at least: a unit that is up at the last moment is asked once."""


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
    words = ending(systemd.journal(unit, since).splitlines())
    return " So the fault was there before" + (f": {' '.join(words)}" if words else "")
