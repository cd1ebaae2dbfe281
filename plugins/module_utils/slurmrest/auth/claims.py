"""What a token says of itself, and copies of it that are spoilt on purpose: all that can be done without a key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .bearer import Token, TokenError
from .compact import b64decode, b64encode, part, read_object, split

_LAST_INSTANT = 1e15  # seconds; a number beyond is no time
_SHOWN = 40  # characters of a claim that is no time


@dataclass(frozen=True)
class Inspected:
    """What a token says about itself, unverified. It holds no signature, so it cannot be used to log in."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def algorithm(self) -> str:
        """The ``alg`` of the header, or an empty string."""
        return text(self.header.get("alg"))

    @property
    def user(self) -> str:
        """The user name as Slurm looks for it (``sun``, else ``username``), or an empty string."""
        return text(self.claims.get("sun")) or text(self.claims.get("username"))

    @property
    def expires(self) -> float | None:
        """``exp`` in seconds since the epoch, or None where it is not there or no whole number.

        Slurm then takes the token for one that expired in 1970: seen on daemons of the oldest and the newest release
        that distributions package, with a fraction, with ``1900000000.0``, with text, true and null.
        """
        value = self.claims.get("exp")
        return number(value) if isinstance(value, int) else None

    @property
    def expiry_fault(self) -> str:
        """Why the token counts as expired whatever the clock says; empty where its ``exp`` is a whole number."""
        if self.expires is not None:
            return ""
        if "exp" not in self.claims:
            return "it has no exp, and Slurm takes it for expired"
        shown = json.dumps(self.claims["exp"])[:_SHOWN]
        return f"its exp is {shown}, which is no whole number of seconds, and Slurm takes it for expired"

    def late(self, now: float) -> float:
        """Seconds since it expired; since 1970 where its ``exp`` is none, negative while it is good."""
        return now - (self.expires or 0.0)


def inspect(token: Token) -> Inspected:
    """Header and claims without checking the signature. Raises TokenError when it is not a JWT."""
    header, claims, signature = split(token)
    b64decode(signature, "signature")
    return Inspected(read_object(header, "header"), read_object(claims, "claims"))


def owner(token: Token | None) -> str:
    """Whose a token is, as it says itself; empty where it does not say, or is none."""
    try:
        return (inspect(token).user or "") if token else ""
    except TokenError:
        return ""


def looks_like_jwt(token: Token) -> bool:
    """Whether `inspect` can read it."""
    try:
        inspect(token)
    except TokenError:
        return False
    return True


def with_forged_signature(token: Token) -> Token:
    """The same header and claims under a well-formed signature that no key made (all bits zero)."""
    header, claims, signature = split(token)
    return Token(f"{header}.{claims}.{'A' * max(len(signature), len(b64encode(bytes(32))))}")


def without_signature(token: Token) -> Token:
    """The ``alg: none`` attack: same claims, a header that asks for no check, an empty signature."""
    return Token(f"{part({'alg': 'none', 'typ': 'JWT'})}.{split(token)[1]}.")


def number(value: object) -> float | None:
    """A claim that is a number; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _LAST_INSTANT:
        return None
    return float(value)


def text(value: object) -> str:
    """A claim that is a text, otherwise an empty one."""
    return value if isinstance(value, str) else ""
