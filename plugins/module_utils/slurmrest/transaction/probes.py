"""Questions that tell whether a daemon answers: asked after a restart, repeated until the answer is good.

A probe is data, so that it can travel as a module parameter: ``{"listeners": [ADDRESS, …]}``,
``{"running": UNIT}``, ``{"command": [ARGV]}``, ``{"controller": [ARGV]}``, ``{"tcp": "HOST:PORT"}`` or
``{"gateway": [ADDRESS, NAME, REVISION]}``.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from ..host import programs
from ..host.programs import Run

PROBE_TIMEOUT = 5.0
PLAIN = ("command", "tcp")
"""Kinds that anybody can ask; the others are those of :mod:`.asking`."""

KINDS = ("listeners", "running", *PLAIN, "controller", "gateway")
_FORMS = (
    "{listeners: [ADDRESS, …]}, {running: UNIT}, {command: [ARGV]}, {controller: [ARGV]}, {tcp: HOST:PORT} or "
    "{gateway: [ADDRESS, NAME, REVISION]}"
)


@dataclass(frozen=True)
class Probe:
    """One question. ``listeners`` are slurmrestd's: each must give an HTTP answer, which is 401 without a token.

    ``running`` is its unit: the process must do what our drop-in says. ``gateway`` must answer over TLS under its name,
    from the configuration of that revision, and reach a slurmrestd. ``controller`` is ``scontrol ping`` where there are
    several: the slurmctld of this host must be among those that answer.
    """

    kind: str
    target: tuple[str, ...]

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Probe:
        """Read a probe from a module parameter; InputError when it is none of these forms."""
        if len(data) != 1 or next(iter(data)) not in KINDS:
            raise InputError("probe", dict(data), _FORMS)
        kind, value = next(iter(data.items()))
        target = tuple(str(word) for word in value) if isinstance(value, (list, tuple)) else (str(value),)
        return cls(kind, target)


def plain_error(probe: Probe, run: Run = programs.run, limit: float = PROBE_TIMEOUT) -> str | None:
    """Ask once. None when the answer is good, otherwise why not.

    Args:
        probe: the question, of a kind of :data:`PLAIN`.
        run: runs a program.
        limit: seconds that all of it may take.

    Raises ValueError for another kind: who asks it has to know more.
    """
    if probe.kind not in PLAIN:
        raise ValueError(probe.kind)
    if probe.kind == "tcp":
        host, _separator, port = probe.target[0].rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), min(limit, PROBE_TIMEOUT)).close()
        except (OSError, ValueError, OverflowError) as error:  # a port may be what a configuration says
            return f"{probe.target[0]}: {error}"
        return None
    done = run(probe.target, limit=limit)
    return None if done.returncode == 0 else programs.words(done)
