"""RS256: RSASSA-PKCS1-v1_5 over SHA-256 (RFC 8017, 8.2) with Python's own numbers, for keys that ``openssl`` made.

A gateway signs few tokens, one for each user every few minutes, so that speed does not matter. Times that depend on
the key say nothing to who only sees when an answer comes: the number that is signed is blinded.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import SlurmrestError
from .bearer import HIDDEN
from .jwks import MAXIMUM_BITS, MINIMUM_BITS, PublicKey

_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")
"""DER of a DigestInfo for SHA-256 up to the digest (RFC 8017, 9.2, note 1)."""

_RSA = bytes.fromhex("06092a864886f70d010101")
"""DER of rsaEncryption, 1.2.840.113549.1.1.1."""

_INTEGER, _OCTETS, _SEQUENCE = 0x02, 0x04, 0x30
_WORDS = ("-----BEGIN RSA PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----")
_KID_DIGITS = 16
_LONGEST = 64 << 10
"""Characters of a file; the largest key that is taken has some 6,500. Its owner, who is not root, could have root
reckon with numbers of many megabytes."""


class KeyFormatError(SlurmrestError):
    """No private RSA key in PEM that could be used. The message holds nothing of it."""


@dataclass(frozen=True)
class PrivateKey:
    """An RSA key that signs. Its ``repr`` is redacted, and it is not pickled."""

    public: PublicKey
    d: int = field(repr=False)
    p: int = field(repr=False)
    q: int = field(repr=False)

    @classmethod
    def load(cls, pem: str, name: str) -> PrivateKey:
        """Read a key as ``openssl genrsa`` writes it, of PKCS #1 or PKCS #8, without a passphrase.

        Args:
            pem: the text of the file.
            name: how the first part of its ``kid`` is called; the rest is made of the key.

        Raises:
            KeyFormatError: it is something else, or no good key.
        """
        try:
            n, e, d, p, q = _numbers(pem)
        except (ValueError, binascii.Error, IndexError):
            raise KeyFormatError("this is no RSA key in PEM, as openssl genrsa writes it") from None
        if (
            not MINIMUM_BITS <= n.bit_length() <= MAXIMUM_BITS
            or min(p, q) < 2
            or p * q != n
            or any(d * e % (prime - 1) != 1 for prime in (p, q))
        ):
            raise KeyFormatError(f"this is no RSA key of {MINIMUM_BITS} to {MAXIMUM_BITS} bits")
        digest = hashlib.sha256(n.to_bytes((n.bit_length() + 7) // 8, "big")).hexdigest()
        return cls(PublicKey(f"{name}-{digest[:_KID_DIGITS]}", n, e), d, p, q)

    def sign(self, message: bytes) -> bytes:
        """The signature of `message`, as long as the modulus.

        Raises:
            SlurmrestError: the machine reckoned wrongly; a false signature would give the key away.
        """
        n, e = self.public.n, self.public.e
        number = int.from_bytes(_encoded(message, _length(n)), "big")
        blind = secrets.randbelow(n - 2) + 2
        hidden = number * pow(blind, e, n) % n
        # By the Chinese remainder theorem: four times as fast.
        of_p, of_q = pow(hidden, self.d % (self.p - 1), self.p), pow(hidden, self.d % (self.q - 1), self.q)
        found = of_q + self.q * ((of_p - of_q) * pow(self.q, -1, self.p) % self.p)
        signature = found * pow(blind, -1, n) % n
        if pow(signature, e, n) != number:
            raise SlurmrestError("a signature that does not verify was made, and not given out")
        return signature.to_bytes(_length(n), "big")

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.kid}, {HIDDEN})"

    def __reduce__(self) -> Any:
        raise TypeError("a PrivateKey is not pickled: it would be written in clear")


def verify(key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Whether the owner of `key` signed `message`. What is signed is made anew and compared whole, and not parsed."""
    length = _length(key.n)
    number = int.from_bytes(signature, "big")
    if len(signature) != length or number >= key.n:
        return False
    return hmac.compare_digest(pow(number, key.e, key.n).to_bytes(length, "big"), _encoded(message, length))


def _length(n: int) -> int:
    return (n.bit_length() + 7) // 8


def _encoded(message: bytes, length: int) -> bytes:
    """EMSA-PKCS1-v1_5 (RFC 8017, 9.2)."""
    tail = _SHA256 + hashlib.sha256(message).digest()
    return b"\x00\x01" + b"\xff" * (length - len(tail) - 3) + b"\x00" + tail


def _numbers(pem: str) -> tuple[int, int, int, int, int]:
    """n, e, d, p and q of a PEM file. ValueError for what is none."""
    if len(pem) > _LONGEST:
        raise ValueError("too long")
    lines = [line.strip() for line in pem.splitlines()]
    first = next((line for line in lines if line in _WORDS), "")
    begin, end = lines.index(first), lines.index(first.replace("BEGIN", "END"))
    data = base64.b64decode("".join(lines[begin + 1 : end]), validate=True)
    whole = list(_members(_only(data, _SEQUENCE)))
    if first == _WORDS[1]:
        algorithm, octets = whole[1], whole[2]
        if algorithm[0] != _SEQUENCE or not algorithm[1].startswith(_RSA) or octets[0] != _OCTETS:
            raise ValueError("another kind of key")
        whole = list(_members(_only(octets[1], _SEQUENCE)))
    if any(tag != _INTEGER for tag, _content in whole[:6]):
        raise ValueError("no number")
    version, n, e, d, p, q = (int.from_bytes(content, "big") for _tag, content in whole[:6])
    if version:
        raise ValueError("more than two primes")
    return n, e, d, p, q


def _only(data: bytes, tag: int) -> bytes:
    found = list(_members(data))
    if len(found) != 1 or found[0][0] != tag:
        raise ValueError("not one value")
    return found[0][1]


def _members(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each value of DER, one after the other."""
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        if at + length > len(data):
            raise ValueError("cut")
        yield tag, data[at : at + length]
        at += length
