"""Recognise a key in whatever was written down, however it was written."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

TOKEN = re.compile(rb"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{43}")
"""A signed JWT: header and claims that begin as JSON objects do, and 32 bytes of signature."""

ENOUGH = 12
"""Characters or bytes in a row that cannot be chance."""


def forms(key: bytes) -> dict[str, bytes]:
    """The ways in which a key could be written, each long enough to be told from chance."""
    found = {
        "raw": key,
        "raw, first half": key[: max(ENOUGH, len(key) // 2)],
        "hex": key.hex().encode(),
        "HEX": key.hex().upper().encode(),
        "escaped": repr(key)[2:-1].encode(),
        "as text": key.decode("latin-1").encode(),
        "escaped as JSON": json.dumps(key.decode("latin-1"))[1:-1].encode(),
        "escaped as JSON by Ansible": json.dumps(key.decode("utf-8", "surrogateescape"))[1:-1].encode(),
    }
    for shift in range(3):
        # The key within something longer that was encoded as a whole: only what no neighbour has a part in.
        whole = base64.b64encode(bytes(shift) + key)
        inner = whole[(4 if shift else 0) : len(whole) // 4 * 4 - 4]
        found[f"base64, shifted by {shift}"] = inner
        found[f"base64url, shifted by {shift}"] = inner.translate(bytes.maketrans(b"+/", b"-_"))
    return {name: form for name, form in found.items() if len(form) >= ENOUGH}


def signed_by(token: bytes, keys: Collection[bytes]) -> bool:
    """Whether one of the keys made this token."""
    signed, _dot, signature = token.rpartition(b".")
    made = (base64.urlsafe_b64encode(hmac.new(key, signed, hashlib.sha256).digest()).rstrip(b"=") for key in keys)
    return signature in made


def leaks(text: bytes, keys: Mapping[str, bytes], *, any_token: bool = True) -> list[str]:
    """What was found where; the place is told, the secret is not. Without `any_token` only tokens of `keys` count."""
    found = []
    for name, key in keys.items():
        for form, pattern in forms(key).items():
            at = text.find(pattern)
            while at >= 0:
                found.append(f"{name} ({form}) in {_place(text, at)}")
                at = text.find(pattern, at + len(pattern))
    return list(dict.fromkeys(found)) + [
        f"a token in {_place(text, match.start())}"
        for match in TOKEN.finditer(text)
        if any_token or signed_by(match[0], keys.values())
    ]


def _place(text: bytes, at: int) -> str:
    """The sampler's heading above, or the line's beginning."""
    heading = text.rfind(b"\n=== ", 0, at)
    if heading >= 0:
        return text[heading + 5 : text.find(b"\n", heading + 5)].decode("utf-8", "replace")
    begin = text.rfind(b"\n", 0, at) + 1
    return repr(text[begin : min(at, begin + 60)])
