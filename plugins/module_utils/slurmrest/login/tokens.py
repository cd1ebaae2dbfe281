"""Short tokens of users, signed with the gateway's own key, whose public half is in the cluster's key set."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

from ..auth.bearer import Token
from ..auth.rs256 import PrivateKey
from ..auth.signing import claims_for, encode

ALGORITHM = "RS256"
KEPT = 1000
"""Users whose tokens are kept at most."""

Told = Callable[[str], None]


class UserTokens:
    """Gives each user a token that is good for at least half of ``seconds``."""

    def __init__(self, key: PrivateKey, seconds: int, told: Told, clock: Callable[[], float] = time.time) -> None:
        self._key, self._seconds, self._told, self._clock = key, seconds, told, clock
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Token]] = {}

    @property
    def kid(self) -> str:
        """The name of the key."""
        return self._key.public.kid

    def token(self, user: str) -> Token:
        """The token of a user who is known to be that user; the same one for a while. Each new one is told."""
        now = self._clock()
        with self._lock:
            good_until, token = self._kept.get(user, (0.0, None))
            if token is not None and good_until - now > self._seconds / 2:
                return token
            if len(self._kept) >= KEPT:
                self._kept.clear()
            token, identifier = self._sign(user, now)
            self._kept[user] = (now + self._seconds, token)
        self._told(f"token {identifier} for {user}, {self._seconds} s")
        return token

    def _sign(self, user: str, now: float) -> tuple[Token, str]:
        identifier = secrets.token_hex(8)
        claims = {**claims_for(user, self._seconds, now), "jti": identifier}
        return encode(claims, self._key, {"alg": ALGORITHM, "kid": self._key.public.kid}), identifier
