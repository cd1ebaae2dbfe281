"""Sessions of who has logged in: in memory, each known by the hash of its secret. They end with the service."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

OF_ONE_USER = 20
ALL = 20_000
"""Sessions at most; the oldest goes for a new one."""

_BYTES = 32


@dataclass(frozen=True)
class LoginSession:
    """Whose it is, until when (seconds of the epoch), and what a page has to say beside a cookie that writes."""

    user: str
    expires: float
    csrf: str = field(repr=False)

    def is_said(self, csrf: str) -> bool:
        """Whether this is what a page of the gateway's own origin knows, and none of another one."""
        return hmac.compare_digest(self.csrf.encode(), csrf.encode())


class Sessions:
    """All sessions. ``seconds`` is how long each holds."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._seconds, self._clock = seconds, clock
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, LoginSession] = OrderedDict()

    def begin(self, user: str) -> tuple[str, LoginSession]:
        """A new session, and the secret by which its owner is known."""
        with self._lock:
            return self._begun(user, self._clock() + self._seconds)

    def begin_another(self, secret: str) -> tuple[str, LoginSession] | None:
        """A session beside that of a secret, which ends no later; None where that has ended meanwhile."""
        with self._lock:
            first = self._known.get(_hashed(secret))
            if first is None or first.expires <= self._clock():
                return None
            return self._begun(first.user, first.expires)

    def _begun(self, user: str, expires: float) -> tuple[str, LoginSession]:
        secret = secrets.token_urlsafe(_BYTES)
        session = LoginSession(user, expires, secrets.token_urlsafe(_BYTES))
        self._forget_old(user)
        self._known[_hashed(secret)] = session
        return secret, session

    def find(self, secret: str) -> LoginSession | None:
        """The session of a secret, where there is one that has not ended."""
        with self._lock:
            session = self._known.get(_hashed(secret))
        return session if session is not None and session.expires > self._clock() else None

    def end(self, secret: str) -> None:
        """Forget the session of a secret."""
        with self._lock:
            self._known.pop(_hashed(secret), None)

    def end_all(self, user: str) -> int:
        """Forget all sessions of a user; returns how many there were."""
        with self._lock:
            own = [key for key, session in self._known.items() if session.user == user]
            for key in own:
                del self._known[key]
        return len(own)

    def _forget_old(self, user: str) -> None:
        now = self._clock()
        while self._known and next(iter(self._known.values())).expires <= now:
            self._known.popitem(last=False)
        own = [key for key, session in self._known.items() if session.user == user]
        for key in own[: max(len(own) - OF_ONE_USER + 1, 0)]:
            del self._known[key]
        while len(self._known) >= ALL:
            self._known.popitem(last=False)


def _hashed(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
