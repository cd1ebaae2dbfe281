"""Questions that tell whether a daemon answers: asked after a restart, repeated until the answer is good.

A probe is data, so that it can travel as a module parameter: ``{"http": URL}``, ``{"command": [ARGV]}`` or
``{"tcp": "HOST:PORT"}``.
"""

from __future__ import annotations

import socket
import subprocess
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Sequence, Tuple

from .client import ClientError, Target, request
from .errors import InputError

PROBE_TIMEOUT = 5.0
KINDS = ("http", "command", "tcp")


@dataclass(frozen=True)
class Probe:
    """One question. ``http``: any HTTP answer will do, a daemon without a token's owner answers 401 (slurm docs)."""

    kind: str
    target: Tuple[str, ...]

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Probe:
        """Read a probe from a module parameter; InputError when it is none of the three forms."""
        if len(data) != 1 or next(iter(data)) not in KINDS:
            raise InputError("probe", dict(data), "one of {http: URL}, {command: [ARGV]}, {tcp: HOST:PORT}")
        kind, value = next(iter(data.items()))
        target = tuple(str(word) for word in value) if isinstance(value, (list, tuple)) else (str(value),)
        return cls(kind, target)


def probe_error(
    probe: Probe, run: Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]
) -> Optional[str]:
    """Ask once. None when the answer is good, otherwise why not."""
    if probe.kind == "http":
        try:
            request(Target.parse(probe.target[0]), "GET", "/openapi/v3", timeout=PROBE_TIMEOUT)
        except ClientError as error:
            return str(error)
        return None
    if probe.kind == "tcp":
        host, _separator, port = probe.target[0].rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), PROBE_TIMEOUT).close()
        except OSError as error:
            return "{}: {}".format(probe.target[0], error)
        return None
    done = run(probe.target)
    return None if done.returncode == 0 else (done.stderr or done.stdout).strip() or "exit {}".format(done.returncode)
