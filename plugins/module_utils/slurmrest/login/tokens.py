"""Short tokens of users, signed with the gateway's own key, whose public half is in the cluster's key set."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable

from ..auth.bearer import Token
from ..auth.jwks import ALGORITHM
from ..auth.rs256 import PrivateKey
from ..auth.signing import claims_for, encode
from ..errors import SlurmrestError
from ..host.files import read
from ..host.logins import KEY_NAME
from ..host.reading import UnsafePath

KEPT = 1000
"""Users whose tokens are kept at most."""

Told = Callable[[str], None]


class KeyFile:
    """The key of a file, which is read again where another file took its place: a key is replaced without a restart."""

    def __init__(self, path: str, told: Told) -> None:
        """Read it. Raises SlurmrestError where there is none."""
        self._path, self._told = path, told
        self._mark = self._look()
        self._key = self._read()

    def __call__(self) -> PrivateKey:
        """The key; the former one, which is told, where the file is gone or holds none."""
        mark = self._look()
        if mark != self._mark:
            self._mark = mark
            try:
                self._key = self._read()
                self._told(f"key {self._key.public.kid}")
            except SlurmrestError as failure:
                self._told(f"key {self._key.public.kid} goes on: {failure}")
        return self._key

    def _look(self) -> tuple[int, ...]:
        try:
            status = os.stat(self._path)
        except OSError:
            return ()
        return status.st_dev, status.st_ino, status.st_mtime_ns

    def _read(self) -> PrivateKey:
        try:
            return PrivateKey.load(read(self._path).decode("ascii", "replace"), KEY_NAME)
        except (OSError, UnsafePath) as failure:
            raise SlurmrestError(f"{self._path} cannot be read: {failure}", "Run playbooks/deploy.yml.") from None


class UserTokens:
    """Gives each user a token that is good for at least half of ``seconds``; ``keys`` says which key signs now."""

    def __init__(
        self, keys: Callable[[], PrivateKey], seconds: int, told: Told, clock: Callable[[], float] = time.time
    ) -> None:
        self._keys, self._seconds, self._told, self._clock = keys, seconds, told, clock
        self._lock = threading.Lock()
        self._key = keys()
        self._kept: dict[str, tuple[float, Token]] = {}

    @property
    def kid(self) -> str:
        """The name of the key that signs."""
        with self._lock:
            return self._current().public.kid

    def _current(self) -> PrivateKey:
        """The key that signs; no token of a former one is given out any more. Whoever asks holds the lock."""
        key = self._keys()
        if key is not self._key:
            self._key = key
            self._kept.clear()
        return key

    def token(self, user: str) -> Token:
        """The token of a user who is known to be that user; the same one for a while. Each new one is told."""
        now = self._clock()
        with self._lock:
            self._current()
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
