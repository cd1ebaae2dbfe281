"""What systemd is asked, and the few commands that are given to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..host import failure, programs
from ..host.programs import Done, Run
from ..redaction import redacted
from ..slurm.ending import ending
from .show import by_unit, command
from .state import STATE, state

JOURNAL_LINES = 12
LOOKED_THROUGH = 80
"""Lines among which the cause of an end is sought; Slurm tells it first, its consequences after it."""
STARTING_SECONDS = 600.0
"""Seconds for a command that waits until a unit has started or stopped: systemd bounds that itself by the unit's
TimeoutStartSec= and TimeoutStopSec=, so this ends a wait for a systemd that is stuck."""

_SETTING_UP = re.compile(r"status=(217/USER|218/CAPABILITIES|226/NAMESPACE|228/SECCOMP)")


class Systemd:
    """The few questions and commands for systemd that the engine needs."""

    def __init__(self, run: Run = programs.run) -> None:
        self._run = run

    def show(self, unit: str, properties: str = STATE) -> dict[str, str]:
        """The properties of a unit, by default those that decide whether it runs; empty without systemd."""
        return state(self._run, unit, properties)

    def show_all(self, units: Sequence[str], properties: str) -> dict[str, dict[str, str]]:
        """The properties of several units, by name."""
        return by_unit(self._run(command(units, f"Id,{properties}"), limit=programs.SECONDS).stdout)

    def command(self, *words: str) -> None:
        """Run ``systemctl``; ProgramFailed with its words when it fails."""
        failure.demand(self.attempt(*words))

    def attempt(self, *words: str) -> Done[str]:
        """Run ``systemctl``, whatever comes of it."""
        return self._run(["systemctl", *words], limit=STARTING_SECONDS)

    def journal(self, unit: str, since: float) -> str:
        """How a unit ended since ``since`` (seconds since the epoch), from its cause; else the last lines it wrote.

        Without secrets.
        """
        done = self._run(
            ["journalctl", "--no-pager", "--quiet", "--output=cat", f"--lines={LOOKED_THROUGH}",
             f"--since=@{int(since):.0f}", f"--unit={unit}"], limit=programs.SECONDS
        )  # fmt: skip
        lines = done.stdout.strip().splitlines()
        return redacted("\n".join(ending(lines) or lines[-JOURNAL_LINES:]))

    def words(self, units: Iterable[str], since: float) -> str:
        """What these units wrote, one after the other."""
        return "\n".join(filter(None, (self.journal(unit, since) for unit in units)))


def refusal(journal: str) -> str:
    """What to do about a unit that systemd gave up before its program ran (systemd.exec(5), Process Exit Codes).

    Args:
        journal: what systemd said; an empty answer when that is something else.
    """
    found = _SETTING_UP.search(journal)
    if not found or "user credentials" in journal:
        return ""
    return (
        f"systemd could not confine the unit as it says ({found[1]}): a container or the kernel does not allow it. "
        "Change the directive or leave it out by the role's variable for the sandbox, as slurmrestd_service_sandbox: "
        '{PrivateUsers: "no"}.'
    )
