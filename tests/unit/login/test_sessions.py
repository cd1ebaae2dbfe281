"""Sessions and the tokens of their users."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from slurmrest.auth.jwt import inspect
from slurmrest.auth.rs256 import PrivateKey
from slurmrest.errors import SlurmrestError
from slurmrest.login.sessions import OF_ONE_USER, Sessions
from slurmrest.login.tokens import KeyFile, UserTokens

if TYPE_CHECKING:
    from pathlib import Path


def pem() -> str:
    made = rsa.generate_private_key(65537, 2048)
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


PEM = pem()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_is_found_by_its_secret_until_it_ends() -> None:
    clock = Clock()
    sessions = Sessions(60, clock)
    secret, session = sessions.begin("alice")
    other, _ = sessions.begin("bob")
    assert len(secret) >= 43, "32 random bytes"
    assert secret not in (other, session.csrf)
    assert sessions.find(secret) == session
    assert (session.user, session.expires) == ("alice", 1060.0)
    for wrong in ("", secret[:-1], secret + "x", session.csrf, "\udcff"):
        assert sessions.find(wrong) is None
    clock.now = 1060.0
    assert sessions.find(secret) is None


def test_it_can_be_ended() -> None:
    sessions = Sessions(60, Clock())
    secret, _ = sessions.begin("alice")
    sessions.end(secret)
    sessions.end(secret)
    assert sessions.find(secret) is None


def test_all_of_one_user_can_be_ended() -> None:
    sessions = Sessions(60, Clock())
    bob, _ = sessions.begin("bob")
    secrets = [sessions.begin("alice")[0] for _ in range(3)]
    assert sessions.end_all("alice") == 3
    assert [sessions.find(secret) for secret in secrets] == [None] * 3
    assert sessions.find(bob) is not None
    assert sessions.end_all("alice") == 0


def test_one_beside_another_ends_no_later_and_needs_it() -> None:
    clock = Clock()
    sessions = Sessions(60, clock)
    secret, _ = sessions.begin("alice")
    clock.now += 10
    made = sessions.begin_another(secret)
    assert made is not None
    assert (made[1].user, made[1].expires) == ("alice", 1060.0)
    sessions.end_all("alice")
    assert sessions.begin_another(secret) is None, "it was ended while the other was asked for"
    late, _ = sessions.begin("alice")
    clock.now += 60
    assert sessions.begin_another(late) is None


def test_one_user_has_so_many_and_the_oldest_goes() -> None:
    sessions = Sessions(60, Clock())
    bob, _ = sessions.begin("bob")
    secrets = [sessions.begin("alice")[0] for _ in range(OF_ONE_USER + 2)]
    assert [sessions.find(secret) is None for secret in secrets] == [True] * 2 + [False] * OF_ONE_USER
    assert sessions.find(bob) is not None


def test_neither_secret_shows() -> None:
    secret, session = Sessions(60).begin("alice")
    assert session.csrf not in repr(session)
    assert secret not in repr(session)
    assert session.is_said(session.csrf)
    assert not session.is_said("")
    assert not session.is_said("é")


def test_a_user_s_token_is_kept_for_half_of_its_life() -> None:
    clock, told = Clock(), list[str]()
    key = PrivateKey.load(PEM, "gateway")
    signer = UserTokens(lambda: key, 300, told.append, clock)
    first = signer.token("alice")
    clock.now += 149
    assert signer.token("alice") == first
    assert signer.token("bob") != first
    clock.now += 2
    second = signer.token("alice")
    assert second != first
    claims = inspect(second).claims
    assert (claims["sun"], claims["exp"], claims["iat"]) == ("alice", 1451, 1151)
    assert inspect(second).header["kid"] == signer.kid
    assert [line.split()[3] for line in told] == ["alice,", "bob,", "alice,"]
    assert claims["jti"] in told[-1]
    assert not [line for line in told if first.reveal() in line or second.reveal() in line]


def test_another_key_in_the_file_s_place_signs_from_then_on(tmp_path: Path) -> None:
    """Without a restart, which would end all logins; and nobody is given a token of the former one any more."""
    path, told = tmp_path / "key.pem", list[str]()
    path.touch(0o600)
    path.write_text(PEM)
    signer = UserTokens(KeyFile(str(path), told.append), 300, told.append)
    former, kid = signer.token("alice"), signer.kid
    assert signer.token("alice") == former
    other = tmp_path / "next.pem"
    other.touch(0o600)
    other.write_text(pem())
    other.rename(path)
    second = signer.token("alice")
    assert second != former
    assert inspect(second).header["kid"] == signer.kid != kid
    path.write_text("x")
    assert signer.token("alice") == second
    path.unlink()
    assert signer.token("bob") != second
    assert next(line for line in told if "goes on" in line).startswith(f"key {signer.kid} goes on: ")
    with pytest.raises(SlurmrestError, match="cannot be read"):
        KeyFile(str(path), told.append)
