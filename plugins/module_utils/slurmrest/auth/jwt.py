"""JSON Web Tokens as Slurm's auth/jwt plugin judges them, with the key that signs them.

Only what this project needs: sign (:mod:`.signing`), look inside (:mod:`.claims`), verify, and spoil a token on purpose
for the tests that prove that a spoilt token is refused. The format is RFC 7515 and RFC 7519; which claims count is in
Slurm's ``auth_jwt.c``.
"""

from __future__ import annotations

import hmac
import time
from typing import Any

from .bearer import Token, TokenError
from .claims import Inspected, inspect, looks_like_jwt, owner, with_forged_signature, without_signature
from .compact import Signer, b64decode, part, read_object, split
from .signing import ALGORITHM, DEFAULT_LIFESPAN, Key, claims_for, encode

__all__ = [
    "ALGORITHM",
    "DEFAULT_LIFESPAN",
    "Inspected",
    "Key",
    "Signer",
    "claims_for",
    "encode",
    "expired",
    "inspect",
    "looks_like_jwt",
    "owner",
    "signature_matches",
    "signed_parts",
    "verify",
    "with_forged_signature",
    "with_other_claims",
    "without_signature",
]


def signed_parts(token: Token) -> tuple[bytes, bytes]:
    """What was signed, and the signature. Raises TokenError when it is not a JWT."""
    header, claims, signature = split(token)
    return f"{header}.{claims}".encode("ascii"), b64decode(signature, "signature")


def signature_matches(token: Token, key: Signer) -> bool:
    """Whether this key signed the token, with HS256; what the claims say does not matter. TokenError for no JWT."""
    header, claims, signature = split(token)
    if Inspected(read_object(header, "header"), {}).algorithm != ALGORITHM:
        return False
    return hmac.compare_digest(key.sign(f"{header}.{claims}".encode("ascii")), b64decode(signature, "signature"))


def verify(token: Token, key: Signer, now: float | None = None) -> Inspected:
    """Check the token as slurmctld does: HS256, signature, ``exp`` (no leeway), a user name. Raises TokenError.

    ``iat``, ``nbf``, ``iss`` and ``aud`` are not looked at, because Slurm does not look at them either.
    """
    header, claims, _signature = split(token)
    found = Inspected(read_object(header, "header"), read_object(claims, "claims"))
    if found.algorithm != ALGORITHM:
        raise TokenError(f"the token is signed with {found.algorithm or 'no algorithm'}; allowed: {ALGORITHM}")
    if not signature_matches(token, key):
        raise TokenError("the signature does not match: another key made this token, or it was changed")
    if found.expiry_fault:
        raise TokenError(f"the token cannot be good: {found.expiry_fault}")
    late = found.late(time.time() if now is None else now)
    if late > 0:
        raise TokenError(f"the token expired {late:.0f} s ago")
    if not found.user:
        raise TokenError("the token names no user: neither sun nor username is a non-empty string")
    return found


def with_other_claims(token: Token, **claims: Any) -> Token:
    """Claims changed after signing: the old signature stays, so it no longer matches."""
    header, _old, signature = split(token)
    return Token(f"{header}.{part({**inspect(token).claims, **claims})}.{signature}")


def expired(user: str, key: Signer, seconds_ago: int = 60, now: float | None = None) -> Token:
    """A token rightly signed for `user` whose ``exp`` lies `seconds_ago` in the past."""
    return encode(claims_for(user, -seconds_ago, now), key)
