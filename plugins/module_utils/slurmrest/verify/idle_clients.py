"""The check of whether idle clients keep others out."""

from __future__ import annotations

import contextlib
import time

from ..rest.causes import Cause
from ..rest.client import ClientError
from ..rest.idle_connection import open_idle
from ..rest.session import TOKEN, Failed, Outcome, Session
from .check import Check

_IDLE_PATIENCE = 5.0  # seconds until a connection counts as not answered

NOT_ASKED = Outcome(None, "not asked for (--idle-clients N)")


def idle_clients(session: Session) -> Outcome:
    """Hold connections open that have had one answer each, and see whether another client is still served."""
    wanted = session.options.idle_clients
    if not wanted:
        return NOT_ASKED
    session.good(session.url("diag"))
    patience = min(session.options.timeout, _IDLE_PATIENCE)
    kept = 0
    with contextlib.ExitStack() as clients:
        for _client in range(wanted + 1):
            begin = time.monotonic()
            session.requests += 1
            try:
                connection = open_idle(
                    session.target,
                    session.url("diag"),
                    headers=session.headers(TOKEN),
                    timeout=patience,
                    context=session.context,
                )
            except ClientError as error:
                raise Failed(
                    f"the client after {kept} idle ones was not served: {error.message}", _limit(kept)
                ) from None
            clients.enter_context(contextlib.closing(connection))
            kept += connection.sock is not None
            session.waited = time.monotonic() - begin
    waited = session.waited
    _settle(session, patience)
    session.waited = waited
    if not kept:
        return Outcome(True, f"slurmrestd closes connections after an answer; none of {wanted} stayed idle")
    return Outcome(True, f"another client was answered in {1000 * session.waited:.0f} ms beside {wanted} idle ones")


def _settle(session: Session, patience: float) -> None:
    """Return when the daemon answers again: old releases drop a connection while they close many others."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with contextlib.suppress(ClientError):
            session.good(session.url("diag"), fresh=True)
            return


def _limit(kept: int) -> Cause:
    return Cause(
        "connection-limit",
        f"slurmrestd serves about {kept} connections at once, and idle ones count",
        "Raise --max-connections (SLURMRESTD_MAX_CONNECTIONS) where the release has it, and put a proxy in front that "
        "closes idle connections.",
    )


CHECKS: tuple[Check, ...] = (
    # Last: a daemon that closes many connections at once may drop the next one.
    Check("idle-clients", "idle clients leave room for others", idle_clients, needs_token=True),
)
