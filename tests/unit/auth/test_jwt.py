"""slurmrest.auth.jwt against PyJWT, and against input that nobody should send."""

from __future__ import annotations

import base64
import json
import pickle
import time
from typing import Any

import jwt as pyjwt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from slurmrest.auth import bearer, jwt, minting

KEY_BYTES = bytes(range(32))
KEY = jwt.Key(KEY_BYTES)

plain_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
# iat, nbf, exp, aud, iss and sub have a meaning of their own for PyJWT
claims = st.dictionaries(
    st.text().filter(lambda name: name not in ("iat", "nbf", "exp", "aud", "iss", "sub", "jti")), plain_json, max_size=5
)


@given(claims, st.binary(min_size=32, max_size=80))
def test_pyjwt_reads_what_we_sign(content: dict[str, Any], secret: bytes) -> None:
    token = jwt.encode(content, jwt.Key(secret))
    assert pyjwt.decode(token.reveal(), secret, algorithms=["HS256"]) == content


@given(claims, st.binary(min_size=32, max_size=80))
def test_we_read_what_pyjwt_signs(content: dict[str, Any], secret: bytes) -> None:
    signed = {**content, "sun": "alice", "exp": 4_000_000_000}
    token = bearer.Token(pyjwt.encode(signed, secret, algorithm="HS256"))
    assert jwt.verify(token, jwt.Key(secret)).claims == signed


@given(st.integers(0, 2), st.data())
def test_a_changed_character_is_refused_by_both(part: int, data: st.DataObject) -> None:
    value = jwt.encode(jwt.claims_for("alice"), KEY).reveal()
    parts = value.split(".")
    # The last character of a part carries spare bits that do not count.
    place = data.draw(st.integers(0, len(parts[part]) - 2))
    letter = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))
    assume(parts[part][place] != letter)
    parts[part] = parts[part][:place] + letter + parts[part][place + 1 :]
    changed = ".".join(parts)
    with pytest.raises(pyjwt.InvalidTokenError):
        pyjwt.decode(changed, KEY_BYTES, algorithms=["HS256"])
    with pytest.raises(bearer.TokenError):
        jwt.verify(bearer.Token(changed), KEY)


@given(st.text(alphabet=st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1))
def test_any_text_is_read_or_refused(text: str) -> None:
    token = bearer.Token(text)
    with pytest.raises(bearer.TokenError):
        jwt.verify(token, KEY)
    assert jwt.looks_like_jwt(token) in (True, False)


@given(plain_json, plain_json)
def test_any_json_in_the_parts_is_read_or_refused(header: Any, body: Any) -> None:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    token = bearer.Token(f"{part(header)}.{part(body)}.{part('signature')}")
    if isinstance(header, dict) and isinstance(body, dict):
        found = jwt.inspect(token)
        assert isinstance(found.user, str)
        assert isinstance(found.algorithm, str)
        assert found.expires is None or isinstance(found.expires, float)
    else:
        with pytest.raises(bearer.TokenError):
            jwt.inspect(token)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("one.two", "2 part"),
        ("a.b.c.d", "4 part"),
        ("e30.e30.===", "not base64url"),
        ("e30.e+0.", "not base64url"),
        ("e30.e.", "not base64url"),
        ("bm8.e30.", "not JSON"),
        ("W10.e30.", "not a JSON object"),
        ("W1tb" * 20000 + ".e30.", "not JSON"),
    ],
)
def test_not_a_jwt(text: str, why: str) -> None:
    with pytest.raises(bearer.TokenError, match=why):
        jwt.inspect(bearer.Token(text))


def test_claims_are_those_of_scontrol() -> None:
    assert jwt.claims_for("alice", 60, now=1000.9) == {"iat": 1000, "exp": 1060, "sun": "alice"}
    assert jwt.inspect(jwt.encode(jwt.claims_for("alice"), KEY)).header == {"alg": "HS256", "typ": "JWT"}


def test_expiry_has_no_leeway() -> None:
    token = jwt.encode({"sun": "alice", "exp": 1000}, KEY)
    assert jwt.verify(token, KEY, now=1000).user == "alice"
    with pytest.raises(bearer.TokenError, match="expired 1 s ago"):
        jwt.verify(token, KEY, now=1001)


@pytest.mark.parametrize(
    "exp", ["soon", "1900000000", True, None, float("inf"), 10**400, 1900000000.5, 1900000000.0, [1], {}]
)
def test_an_expiry_that_is_no_whole_number_counts_as_over(exp: Any) -> None:
    """Seen on real daemons of 22.05, 24.11 and 26.05: slurmctld's log says "token expired" of each."""
    token = jwt.encode({"sun": "alice", "exp": exp}, KEY)
    found = jwt.inspect(token)
    assert found.expires is None
    assert "no whole number" in found.expiry_fault
    assert found.late(time.time()) > 0
    with pytest.raises(bearer.TokenError, match="its exp is"):
        jwt.verify(token, KEY)


def test_a_token_without_expiry_counts_as_over() -> None:
    token = jwt.encode({"sun": "alice"}, KEY)
    assert jwt.inspect(token).expiry_fault == "it has no exp, and Slurm takes it for expired"
    with pytest.raises(bearer.TokenError, match="no exp"):
        jwt.verify(token, KEY)


@pytest.mark.parametrize("exp", [0, 1, -5])
def test_a_time_long_ago_is_no_fault_of_form(exp: int) -> None:
    found = jwt.inspect(jwt.encode({"sun": "alice", "exp": exp}, KEY))
    assert (found.expires, found.expiry_fault) == (exp, "")
    assert found.late(1000.0) > 0


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"exp": 2000, "iat": 1000}, []),
        ({"exp": 2000, "iat": 1059.5}, []),
        ({"exp": 2000, "iat": 5000}, ["iat lies 4000 s in the future"]),
        ({"exp": 1900000000000, "iat": 1}, ["exp is 1900000000000"]),
        ({"exp": 2**40}, ["exp is 1099511627776"]),
        ({"exp": 2**31}, []),
        ({"iat": "soon"}, []),
    ],
)
def test_times_that_slurm_takes_and_that_are_odd(claims: dict[str, Any], said: list[str]) -> None:
    remarks = minting.remarks(jwt.inspect(jwt.encode({"sun": "alice", **claims}, KEY)), 1000.0)
    assert len(remarks) == len(said)
    assert all(remark.startswith(begin) for remark, begin in zip(remarks, said, strict=True))


@pytest.mark.parametrize(
    ("content", "user"),
    [
        ({"sun": "a"}, "a"),
        ({"username": "b"}, "b"),
        ({"sun": "a", "username": "b"}, "a"),
        ({"sun": 7, "username": "b"}, "b"),
    ],
)
def test_user_as_slurm_looks_for_it(content: dict[str, Any], user: str) -> None:
    assert jwt.verify(jwt.encode({"exp": 4_000_000_000, **content}, KEY), KEY).user == user


def test_a_token_without_user_is_refused() -> None:
    with pytest.raises(bearer.TokenError, match="names no user"):
        jwt.verify(jwt.encode({"exp": int(time.time()) + 60}, KEY), KEY)


def test_another_algorithm_is_refused() -> None:
    token = bearer.Token(pyjwt.encode({"sun": "alice"}, KEY_BYTES * 2, algorithm="HS512"))
    with pytest.raises(bearer.TokenError, match="signed with HS512; allowed: HS256"):
        jwt.verify(token, KEY)


def test_spoilt_tokens_are_well_formed_and_refused_for_their_reason() -> None:
    good = jwt.encode(jwt.claims_for("alice"), KEY)
    spoilt = {
        "signature does not match": jwt.with_forged_signature(good),
        "made this token, or it was changed": jwt.with_other_claims(good, sun="root"),
        "signed with none": jwt.without_signature(good),
        r"expired 6\d s ago": jwt.expired("alice", KEY),
    }
    assert jwt.inspect(spoilt["made this token, or it was changed"]).user == "root"
    for why, token in spoilt.items():
        assert jwt.looks_like_jwt(token)
        assert token != good
        with pytest.raises(bearer.TokenError, match=why):
            jwt.verify(token, KEY)
        with pytest.raises(pyjwt.InvalidTokenError):
            pyjwt.decode(token.reveal(), KEY_BYTES, algorithms=["HS256"])


def test_secrets_do_not_show_themselves() -> None:
    token = jwt.encode(jwt.claims_for("alice"), KEY)
    signature = token.reveal().rpartition(".")[2]
    for shown in (repr(token), str(token), f"{token}", repr([token]), repr(KEY), str(KEY), repr(jwt.inspect(token))):
        assert signature not in shown
        assert KEY_BYTES.decode("latin-1") not in shown
        assert repr(KEY_BYTES) not in shown
    for secret in (token, KEY):
        with pytest.raises(TypeError):
            pickle.dumps(secret)
        assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize("value", ["", "a b", "a\nb", "a\r\nX-Evil: 1", "tökén", "a\x00"])
def test_a_token_that_is_no_header_is_refused_unseen(value: str) -> None:
    with pytest.raises(bearer.TokenError) as raised:
        bearer.Token(value)
    assert not value or value not in str(raised.value)


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(bearer.TokenError, match="key is empty"):
        jwt.Key(b"")
    assert len(KEY) == 32
