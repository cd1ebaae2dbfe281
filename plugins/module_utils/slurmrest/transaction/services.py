"""Services restarted, and asked until they answer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Callable, Optional

from ..errors import SlurmrestError
from ..host import failure
from ..host.lock import POLL_SECONDS
from ..host.programs import Run
from ..slurm.daemons import CONTROLLER, DATABASE
from ..slurm.ending import ending
from ..systemd.show import number
from ..systemd.systemctl import Systemd
from .probes import PLAIN, Probe
from .specs import ServiceSpec

INSTEAD_SECONDS = 120.0
"""For the command that has a unit take its files without a restart."""


SHORTEST_SECONDS = 0.1
"""That a probe gets at least: a unit that is up at the last moment is asked once."""


LookAhead = Callable[[Sequence[ServiceSpec], Run, Mapping[str, Optional[str]]], list[str]]
"""Raises SlurmrestError when a service that runs should not be restarted; gets files as they will be, too.

Returns what nobody could look at, in words."""

Ask = Callable[[Probe, Run, float], Optional[str]]
"""Asks a probe once, for so many seconds; None when the answer is good, otherwise why not."""

LOOKED_AT = (DATABASE, CONTROLLER)
"""Daemons that are looked at before they are restarted."""


@dataclass(frozen=True)
class Judges:
    """What is known of Slurm's daemons (:mod:`.restart_wiring`); a transaction that needs none of it has none."""

    look_ahead: LookAhead
    ask: Ask
    kinds: tuple[str, ...]  # of probes that it can ask


class Beyond(SlurmrestError):
    """A transaction would have to restart a daemon that is looked at first, or to ask one that it does not know."""


def within(services: Sequence[ServiceSpec], judges: Judges | None) -> None:
    """Raise Beyond for services of which a transaction would have to know more."""
    kinds = judges.kinds if judges else PLAIN
    for service in services:
        unknown = judges is None and service.name.partition(".")[0] in LOOKED_AT
        if unknown or any(probe.kind not in kinds for probe in service.probes):
            raise Beyond(f"{service.name} is not restarted by who does not know what to look at before and after.")


def restart(service: ServiceSpec, systemd: Systemd, run: Run, ask: Ask, instead: Sequence[str] = ()) -> None:
    """Restart a unit, or run the command `instead`, and return once it is up and every probe has had its answer.

    Raises SlurmrestError when it does not come up, does not stay up, or does not answer within its timeout.
    """
    # A unit that failed before may have used up its start limit; this also sets its count of restarts to 0.
    systemd.attempt("reset-failed", service.name)
    if instead:
        failure.demand(run(instead, limit=INSTEAD_SECONDS))
    else:
        systemd.command("restart", service.name)
    deadline = time.monotonic() + service.timeout
    waiting = list(service.probes)
    up_since: float | None = None
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
                why = ask(waiting[0], run, left) or ""
                if why:
                    break
                waiting.pop(0)
            up_since = up_since or time.monotonic()
            if not waiting and time.monotonic() - up_since >= service.steady:
                return
        if time.monotonic() > deadline:
            raise SlurmrestError(f"{service.name} gave no answer within {service.timeout:.0f} s: {why or active}")
        time.sleep(POLL_SECONDS)


def there_before(systemd: Systemd, unit: str, since: float) -> str:
    """What to add where a unit does not come up on what it had before either: that says whose fault it is."""
    words = ending(systemd.journal(unit, since).splitlines())
    return " So the fault was there before" + (f": {' '.join(words)}" if words else "")
