"""JSON Web Tokens as Slurm's auth/jwt plugin reads them: HS256, a user in ``sun``, seconds of the epoch in ``exp``.

Only what this project needs: sign, look inside, verify, and spoil a token on purpose for the tests that prove that a
spoilt token is refused. The format is RFC 7515 and RFC 7519; which claims count is in Slurm's ``auth_jwt.c``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .bearer import HIDDEN, Token, TokenError

ALGORITHM = "HS256"
DEFAULT_LIFESPAN = 1800  # seconds; what `scontrol token` gives when it is not asked for another

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*\Z")
_LAST_INSTANT = 1e15  # seconds; a number beyond is no time
_MILLISECONDS = 1e11  # what is later than the year 5000 in seconds is a time of our days in milliseconds
_CLOCKS = 60.0  # seconds by which clocks may differ without a word
_SHOWN = 40  # characters of a claim that is no time


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


@dataclass(frozen=True)
class Inspected:
    """What a token says about itself, unverified. It holds no signature, so it cannot be used to log in."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def algorithm(self) -> str:
        """The ``alg`` of the header, or an empty string."""
        return _text(self.header.get("alg"))

    @property
    def foreign_type(self) -> str:
        """The ``typ`` of the header where it is another than JWT: libjwt before 1.12 refuses such a token."""
        kind = _text(self.header.get("typ"))
        return "" if kind.upper() == "JWT" else kind

    @property
    def user(self) -> str:
        """The user name as Slurm looks for it (``sun``, else ``username``), or an empty string."""
        return _text(self.claims.get("sun")) or _text(self.claims.get("username"))

    @property
    def expires(self) -> float | None:
        """``exp`` in seconds since the epoch, or None where it is not there or no whole number.

        Slurm then takes the token for one that expired in 1970: seen on daemons of the oldest and the newest release
        that distributions package, with a fraction, with ``1900000000.0``, with text, true and null.
        """
        value = self.claims.get("exp")
        return _number(value) if isinstance(value, int) else None

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

    def remarks(self, now: float) -> list[str]:
        """What is odd about its times, though Slurm takes it."""
        said = []
        if self.expires is not None and self.expires >= _MILLISECONDS:
            said.append(
                f"exp is {self.expires:.0f}: so many seconds are over in thousands of years. It was given in "
                "milliseconds; Slurm takes such a token, and it does not expire."
            )
        issued = _number(self.claims.get("iat"))
        if issued is not None and issued > now + _CLOCKS:
            said.append(
                f"iat lies {issued - now:.0f} s in the future: the clock of who made the token, or of this host, is "
                "wrong, or iat was given in milliseconds. Slurm does not look at it."
            )
        return said


def claims_for(user: str, lifespan: int = DEFAULT_LIFESPAN, now: float | None = None) -> dict[str, Any]:
    """The claims `scontrol token` writes: ``iat`` and ``exp`` (seconds), ``sun``. A negative lifespan has expired."""
    issued = int(time.time() if now is None else now)
    return {"iat": issued, "exp": issued + lifespan, "sun": user}


class Signer(Protocol):
    """What signs: a :class:`Key` with HS256, or another key, whose header then names its algorithm."""

    def sign(self, message: bytes) -> bytes:
        """The signature of `message`."""


def encode(claims: Mapping[str, Any], key: Signer, header: Mapping[str, Any] | None = None) -> Token:
    """Sign `claims` and return the compact token. `header` adds to or replaces ``alg``, which is HS256, and ``typ``."""
    signed = f"{_part({'alg': ALGORITHM, 'typ': 'JWT', **(header or {})})}.{_part(claims)}"
    return Token(f"{signed}.{_b64encode(key.sign(signed.encode('ascii')))}")


def inspect(token: Token) -> Inspected:
    """Header and claims without checking the signature. Raises TokenError when it is not a JWT."""
    header, claims, signature = _split(token)
    _b64decode(signature, "signature")
    return Inspected(_object(header, "header"), _object(claims, "claims"))


def owner(token: Token | None) -> str:
    """Whose a token is, as it says itself; empty where it does not say, or is none."""
    try:
        return (inspect(token).user or "") if token else ""
    except TokenError:
        return ""


def signed_parts(token: Token) -> tuple[bytes, bytes]:
    """What was signed, and the signature. Raises TokenError when it is not a JWT."""
    header, claims, signature = _split(token)
    return f"{header}.{claims}".encode("ascii"), _b64decode(signature, "signature")


def signature_matches(token: Token, key: Key) -> bool:
    """Whether this key signed the token, with HS256; what the claims say does not matter. TokenError for no JWT."""
    header, claims, signature = _split(token)
    if Inspected(_object(header, "header"), {}).algorithm != ALGORITHM:
        return False
    return hmac.compare_digest(key.sign(f"{header}.{claims}".encode("ascii")), _b64decode(signature, "signature"))


def verify(token: Token, key: Key, now: float | None = None) -> Inspected:
    """Check the token as slurmctld does: HS256, signature, ``exp`` (no leeway), a user name. Raises TokenError.

    ``iat``, ``nbf``, ``iss`` and ``aud`` are not looked at, because Slurm does not look at them either.
    """
    header, claims, _signature = _split(token)
    found = Inspected(_object(header, "header"), _object(claims, "claims"))
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


def looks_like_jwt(token: Token) -> bool:
    """Whether `inspect` can read it."""
    try:
        inspect(token)
    except TokenError:
        return False
    return True


def with_forged_signature(token: Token) -> Token:
    """The same header and claims under a well-formed signature that no key made (all bits zero)."""
    header, claims, signature = _split(token)
    return Token(f"{header}.{claims}.{'A' * max(len(signature), len(_b64encode(bytes(32))))}")


def with_other_claims(token: Token, **claims: Any) -> Token:
    """Claims changed after signing: the old signature stays, so it no longer matches."""
    header, _old, signature = _split(token)
    return Token(f"{header}.{_part({**inspect(token).claims, **claims})}.{signature}")


def without_signature(token: Token) -> Token:
    """The ``alg: none`` attack: same claims, a header that asks for no check, an empty signature."""
    return Token(f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_split(token)[1]}.")


def expired(user: str, key: Key, seconds_ago: int = 60, now: float | None = None) -> Token:
    """A token rightly signed for `user` whose ``exp`` lies `seconds_ago` in the past."""
    return encode(claims_for(user, -seconds_ago, now), key)


def _split(token: Token) -> tuple[str, str, str]:
    parts = token.reveal().split(".")
    if len(parts) != 3:
        raise TokenError(f"not a JWT: {len(parts)} part(s) separated by dots instead of 3")
    return parts[0], parts[1], parts[2]


def _object(part: str, name: str) -> Mapping[str, Any]:
    try:
        value = json.loads(_b64decode(part, name))
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise TokenError(f"not a JWT: the {name} part is not JSON") from None
    if not isinstance(value, dict):
        raise TokenError(f"not a JWT: the {name} part is not a JSON object")
    return value


def _part(value: Mapping[str, Any]) -> str:
    return _b64encode(json.dumps(value, separators=(",", ":")).encode("utf-8"))


def _b64encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _b64decode(text: str, name: str) -> bytes:
    """Base64url without padding, strictly: another alphabet or a length that cannot be is an error."""
    if not _BASE64URL.match(text):
        raise TokenError(f"not a JWT: the {name} part is not base64url")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise TokenError(f"not a JWT: the {name} part is not base64url") from None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _LAST_INSTANT:
        return None
    return float(value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
