"""Signing tokens as Slurm's auth/jwt plugin reads them: HS256, a user in ``sun``, seconds of the epoch in ``exp``."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Any

from .bearer import HIDDEN, Token, TokenError
from .compact import Signer, b64encode, part

ALGORITHM = "HS256"
DEFAULT_LIFESPAN = 1800  # seconds; what `scontrol token` gives when it is not asked for another


class Key:
    """The secret that signs tokens: the raw bytes of the key file, used as they are. Its ``repr`` is redacted.

    Raises TokenError for an empty key; Slurm itself asks for no more than one byte, so length is judged elsewhere.
    """

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        if not data:
            raise TokenError("the signing key is empty")
        self._data = bytes(data)

    def sign(self, message: bytes) -> bytes:
        """HMAC-SHA256 of `message` (32 bytes)."""
        return hmac.new(self._data, message, hashlib.sha256).digest()

    def __len__(self) -> int:
        return len(self._data)

    def __repr__(self) -> str:
        return f"Key({len(self._data)} bytes, {HIDDEN})"

    def __reduce__(self) -> Any:
        raise TypeError("a Key is not pickled: it would be written in clear")


def claims_for(user: str, lifespan: int = DEFAULT_LIFESPAN, now: float | None = None) -> dict[str, Any]:
    """The claims `scontrol token` writes: ``iat`` and ``exp`` (seconds), ``sun``. A negative lifespan has expired."""
    issued = int(time.time() if now is None else now)
    return {"iat": issued, "exp": issued + lifespan, "sun": user}


def encode(claims: Mapping[str, Any], key: Signer, header: Mapping[str, Any] | None = None) -> Token:
    """Sign `claims` and return the compact token. `header` adds to or replaces ``alg``, which is HS256, and ``typ``."""
    signed = f"{part({'alg': ALGORITHM, 'typ': 'JWT', **(header or {})})}.{part(claims)}"
    return Token(f"{signed}.{b64encode(key.sign(signed.encode('ascii')))}")
