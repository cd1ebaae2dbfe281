"""Questions that tell whether a daemon answers: asked after a restart, repeated until the answer is good.

A probe is data, so that it can travel as a module parameter: ``{"listeners": [ADDRESS, …]}``,
``{"command": [ARGV]}`` or ``{"tcp": "HOST:PORT"}``.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import listeners
from .errors import InputError
from .host import programs
from .host.programs import Run

PROBE_TIMEOUT = 5.0
KINDS = ("listeners", "command", "tcp")


@dataclass(frozen=True)
class Probe:
    """One question. ``listeners`` are slurmrestd's: each must give an HTTP answer, which is 401 without a token."""

    kind: str
    target: tuple[str, ...]

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Probe:
        """Read a probe from a module parameter; InputError when it is none of the three forms."""
        if len(data) != 1 or next(iter(data)) not in KINDS:
            raise InputError("probe", dict(data), "{listeners: [ADDRESS, …]}, {command: [ARGV]} or {tcp: HOST:PORT}")
        kind, value = next(iter(data.items()))
        target = tuple(str(word) for word in value) if isinstance(value, (list, tuple)) else (str(value),)
        return cls(kind, target)


def probe_error(probe: Probe, run: Run = programs.run, limit: float = PROBE_TIMEOUT) -> str | None:
    """Ask once. None when the answer is good, otherwise why not.

    Args:
        probe: the question.
        run: runs a program.
        limit: seconds that all of it may take; a single HTTP request or connection never gets more than
            :data:`PROBE_TIMEOUT`.
    """
    deadline = time.monotonic() + limit
    if probe.kind == "listeners":
        from .client import ClientError, Target, request  # noqa: PLC0415 - loading HTTP takes long, asking is rare

        try:
            for listener in map(listeners.parse, probe.target):
                request(Target.parse(listener.url), "GET", "/openapi/v3", timeout=_left(deadline))
        except ClientError as error:
            return str(error)
        return None
    if probe.kind == "tcp":
        host, _separator, port = probe.target[0].rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _left(deadline)).close()
        except OSError as error:
            return f"{probe.target[0]}: {error}"
        return None
    done = run(probe.target, limit=limit)
    return None if done.returncode == 0 else programs.words(done)


def _left(deadline: float) -> float:
    return round(min(PROBE_TIMEOUT, max(deadline - time.monotonic(), 0.01)), 2)
