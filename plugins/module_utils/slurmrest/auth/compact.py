"""The compact form of a JSON Web Token: three parts in base64url (RFC 7515)."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Protocol

from .bearer import Token, TokenError

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*\Z")


class Signer(Protocol):
    """What signs: a :class:`Key` with HS256, or another key, whose header then names its algorithm."""

    def sign(self, message: bytes) -> bytes:
        """The signature of `message`."""


def split(token: Token) -> tuple[str, str, str]:
    """The three parts of a token. Raises TokenError where it has more or fewer."""
    parts = token.reveal().split(".")
    if len(parts) != 3:
        raise TokenError(f"not a JWT: {len(parts)} part(s) separated by dots instead of 3")
    return parts[0], parts[1], parts[2]


def read_object(part: str, name: str) -> Mapping[str, Any]:
    """The object in a part, which `name` calls it. Raises TokenError."""
    try:
        value = json.loads(b64decode(part, name))
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise TokenError(f"not a JWT: the {name} part is not JSON") from None
    if not isinstance(value, dict):
        raise TokenError(f"not a JWT: the {name} part is not a JSON object")
    return value


def part(value: Mapping[str, Any]) -> str:
    """An object as a part of a token."""
    return b64encode(json.dumps(value, separators=(",", ":")).encode("utf-8"))


def b64encode(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def b64decode(text: str, name: str) -> bytes:
    """Base64url without padding, strictly: another alphabet or a length that cannot be is an error."""
    if not _BASE64URL.match(text):
        raise TokenError(f"not a JWT: the {name} part is not base64url")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise TokenError(f"not a JWT: the {name} part is not base64url") from None
