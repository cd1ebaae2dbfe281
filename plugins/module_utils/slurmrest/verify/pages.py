"""Pages that slurmctld and slurmd serve themselves, on their own ports: what of them is open, and to whom."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from ..rest.client import ClientError, Response, Target, request

HEALTH, METRICS = "/healthz", "/metrics/jobs"
SECONDS = 3.0
"""Patience for each page."""


class AskPage(Protocol):
    """Sends one request."""

    def __call__(self, target: Target, method: str, path: str, *, timeout: float) -> Response:
        """As :func:`..rest.client.request`."""


@dataclass(frozen=True)
class Pages:
    """What a daemon answers to somebody without a token; ``tells`` is whether its metrics hold anything."""

    daemon: str
    host: str
    port: int
    open: tuple[str, ...]
    tells: bool


def look(daemons: Iterable[tuple[str, str, int]], ask: AskPage = request) -> list[Pages]:
    """Ask each daemon (its name, host and port) from here, without a token. Who answers no HTTP is left out."""
    found = []
    for daemon, host, port in daemons:
        seen: dict[str, Response] = {}
        with contextlib.suppress(ClientError):
            for path in (HEALTH, METRICS):
                seen[path] = ask(Target("http", host, port), "GET", path, timeout=SECONDS)
        answered = tuple(path for path, response in seen.items() if response.status < 300)
        if answered:
            tells = METRICS in answered and bool(seen[METRICS].body.strip())
            found.append(Pages(daemon, host, port, answered, tells))
    return found
