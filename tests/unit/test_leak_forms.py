"""How a leaked key is recognised."""

from __future__ import annotations

import base64
import json
import secrets

import pytest
from slurmrest.auth import jwt

from tests.real.leaks.secrets_found import leaks

KEY = bytes(range(200, 232))
CARRIERS = {
    "raw": KEY,
    "hex": KEY.hex().encode(),
    "HEX": KEY.hex().upper().encode(),
    "repr": repr(KEY).encode(),
    "json": json.dumps(KEY.decode("latin-1")).encode(),
    "json of undecodable text": json.dumps(KEY.decode("utf-8", "surrogateescape")).encode(),
    "text": KEY.decode("latin-1").encode(),
    "base64": base64.b64encode(KEY),
    "base64url": base64.urlsafe_b64encode(KEY),
    "base64 of a document, 1": base64.b64encode(b'{"k":"' + KEY + b'"}'),
    "base64 of a document, 2": base64.b64encode(b'{"key":"' + KEY + b'"}'),
    "base64 of a document, 3": base64.b64encode(b'{"key": "' + KEY + b'"}'),
}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_key_is_found_in_whatever_form(carrier: str) -> None:
    text = b"before " + CARRIERS[carrier] + b" after"
    assert leaks(text, {"the key": KEY}) != []
    assert leaks(b"before after" * 100, {"the key": KEY}) == []


@pytest.mark.parametrize("_try", range(5))
def test_random_keys_too(_try: int) -> None:
    key = secrets.token_bytes(32)
    written = [repr(key).encode(), base64.b64encode(b"x" + key + b"y"), key.hex().encode()]
    written += [json.dumps(key.decode(*how)).encode() for how in (["latin-1"], ["utf-8", "surrogateescape"])]
    for text in written:
        assert leaks(text, {"the key": key})
    assert leaks(secrets.token_bytes(10_000), {"the key": key}) == []


def test_tokens_are_found_and_not_repeated() -> None:
    token = jwt.encode(jwt.claims_for("root"), jwt.Key(KEY)).reveal()
    (found,) = leaks(f"\n=== /proc/7/cmdline\ncurl -H {token}\n".encode(), {})
    assert found == "a token in /proc/7/cmdline"
    assert leaks(b"SLURM_JWT=daemon X-SLURM-USER-TOKEN: not-a-token eyJhbGciOiJIUzI1NiJ9.e30.", {}) == []


def test_tokens_of_other_keys_may_be_where_others_are_at_work() -> None:
    token = jwt.encode(jwt.claims_for("root"), jwt.Key(KEY)).reveal().encode()
    assert leaks(token, {"the key": KEY}, any_token=False) == ["a token in b''"]
    assert leaks(token, {"the key": KEY[::-1]}, any_token=False) == []
