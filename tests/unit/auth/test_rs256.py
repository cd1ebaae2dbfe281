"""RS256 with Python's own numbers, against the cryptography of others."""

from __future__ import annotations

import json
import pickle
import subprocess
import time
import warnings
from base64 import b64encode, urlsafe_b64decode

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from slurmrest.auth.jwt import claims_for, encode
from slurmrest.auth.rs256 import KeyFormatError, PrivateKey, verify

THEIRS = rsa.generate_private_key(65537, 2048)
FORMATS = {"pkcs1": PrivateFormat.TraditionalOpenSSL, "pkcs8": PrivateFormat.PKCS8}


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, form: str = "pkcs8") -> str:
    return key.private_bytes(Encoding.PEM, FORMATS[form], NoEncryption()).decode()


OURS = PrivateKey.load(pem(THEIRS), "gateway")


@pytest.mark.parametrize("form", FORMATS)
def test_both_forms_of_the_file_are_one_key(form: str) -> None:
    found = PrivateKey.load(pem(THEIRS, form), "gateway")
    numbers = THEIRS.private_numbers()
    assert (found.public.n, found.public.e) == (numbers.public_numbers.n, 65537)
    assert (found.d, found.p, found.q) == (numbers.d, numbers.p, numbers.q)
    assert found.public.kid.startswith("gateway-")
    assert len(found.public.kid) == len("gateway-") + 16


def test_a_key_of_openssl_genrsa() -> None:
    made = subprocess.run(["openssl", "genrsa", "3072"], capture_output=True, text=True, check=True).stdout
    assert PrivateKey.load(made, "gateway").public.bits == 3072


@settings(max_examples=20)
@given(st.binary())
def test_others_verify_what_it_signs_and_it_what_others_sign(message: bytes) -> None:
    THEIRS.public_key().verify(OURS.sign(message), message, padding.PKCS1v15(), hashes.SHA256())
    assert OURS.sign(message) == THEIRS.sign(message, padding.PKCS1v15(), hashes.SHA256())
    assert verify(OURS.public, message, OURS.sign(message))


def test_what_does_not_verify() -> None:
    good = OURS.sign(b"message")
    other = PrivateKey.load(pem(rsa.generate_private_key(65537, 2048)), "gateway")
    assert other.public.kid != OURS.public.kid
    assert not verify(OURS.public, b"massage", good)
    assert not verify(other.public, b"message", good)
    assert not verify(OURS.public, b"message", bytes(1) + good)
    assert not verify(OURS.public, b"message", good[:-1])
    assert not verify(OURS.public, b"message", b"")
    assert not verify(OURS.public, b"message", (int.from_bytes(good, "big") + OURS.public.n).to_bytes(257, "big"))
    sha512 = THEIRS.sign(b"message", padding.PKCS1v15(), hashes.SHA512())
    assert not verify(OURS.public, b"message", sha512)
    pss = THEIRS.sign(b"message", padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    assert not verify(OURS.public, b"message", pss)


def test_a_token_is_one_for_others() -> None:
    token = encode(claims_for("alice", 300), OURS, {"alg": "RS256", "kid": OURS.public.kid}).reveal()
    found = pyjwt.decode(token, THEIRS.public_key(), algorithms=["RS256"])
    assert found["sun"] == "alice"
    assert found["exp"] - found["iat"] == 300
    header = json.loads(urlsafe_b64decode(token.split(".")[0] + "=="))
    assert header == {"alg": "RS256", "typ": "JWT", "kid": OURS.public.kid}


def weak() -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pem(rsa.generate_private_key(65537, 1024))


def der(tag: int, content: bytes) -> bytes:
    size = len(content).to_bytes(4, "big")
    return bytes([tag, 0x84]) + size + content


def of_numbers(*numbers: int) -> str:
    """A file of PKCS #1 with these: version, n, e, d, p, q."""
    members = b"".join(der(2, number.to_bytes(number.bit_length() // 8 + 1, "big")) for number in numbers)
    text = b64encode(der(0x30, members)).decode()
    return f"-----BEGIN RSA PRIVATE KEY-----\n{text}\n-----END RSA PRIVATE KEY-----\n"


PARTS = THEIRS.private_numbers()
N, D = PARTS.public_numbers.n, PARTS.d


def test_numbers_make_a_key() -> None:
    assert PrivateKey.load(of_numbers(0, N, 65537, D, PARTS.p, PARTS.q), "gateway") is not None


@pytest.mark.parametrize("size", [1 << 20, 8 << 20])
def test_numbers_of_megabytes_keep_nobody_reckoning(size: int) -> None:
    """The file is the identity service's, whose account is not root."""
    huge = 1 << 8 * size
    begin = time.process_time()
    with pytest.raises(KeyFormatError):
        PrivateKey.load(of_numbers(0, N, 65537, D, huge + 1, huge + 3), "gateway")
    assert time.process_time() - begin < 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        of_numbers(0, N, 65537, D, 1, N),
        of_numbers(0, N, 65537, D, N, 1),
        of_numbers(0, N, 65537, D, 0, N),
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n",
        pem(THEIRS, "pkcs1").replace("RSA PRIVATE", "PRIVATE"),
        pem(ec.generate_private_key(ec.SECP256R1())),
        weak(),
    ],
)
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(KeyFormatError) as caught:
        PrivateKey.load(text, "gateway")
    assert "MII" not in str(caught.value)


def test_it_does_not_show_itself() -> None:
    assert str(OURS.d) not in repr(OURS)
    assert str(OURS.p) not in f"{OURS}"
    with pytest.raises(TypeError):
        pickle.dumps(OURS)
