"""Public keys of identity providers (JWKS, RFC 7517) as auth/jwt can read them: judged, normalised and merged.

slurmctld and slurmdbd end at a key without ``kid``, and most releases at one that is not RSA; the first release with
``jwks=`` passes silently over keys without ``alg``. So what is written for them holds nothing but RSA keys, each with
``kid``, ``alg``, ``n`` and ``e`` (``_build_jwks_keys`` and ``pem_from_mod_exp`` of ``src/plugins/auth/jwt``). A key
that Slurm has no use for is dropped, with the reason; what no provider should publish, or cannot mean, is refused.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import SlurmrestError

ALGORITHM = "RS256"
MAXIMUM_BYTES = 256 * 1024
"""Bytes of a set; those of large providers have a few KiB."""

MAXIMUM_KEYS = 100
MINIMUM_BITS, MAXIMUM_BITS = 2048, 8192
"""Of a modulus: RFC 7518, 3.3 asks for 2048; beyond the other, each request would cost the daemon noticeable time."""

MAXIMUM_KID = 256
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
"""Members that only the owner of a key may know (RFC 7518, 6.2.2, 6.3.2, 6.4.1)."""

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+\Z")


class JwksError(SlurmrestError):
    """A set that must not be used. The message names its source and the key, never a key's content."""


@dataclass(frozen=True, order=True)
class PublicKey:
    """One RSA key that verifies RS256: ``kid`` is its name, ``n`` the modulus, ``e`` the exponent."""

    kid: str
    n: int
    e: int

    @property
    def bits(self) -> int:
        """Size of the modulus."""
        return self.n.bit_length()

    def as_dict(self) -> dict[str, str]:
        """The key as a member of a set."""
        numbers = {"n": _encoded(self.n), "e": _encoded(self.e)}
        return {"kid": self.kid, "kty": "RSA", "alg": ALGORITHM, "use": "sig", **numbers}


@dataclass(frozen=True)
class KeySet:
    """The keys to use, by ``kid`` in order, and what was left out, each with its reason."""

    keys: tuple[PublicKey, ...]
    dropped: tuple[str, ...] = ()

    def render(self) -> bytes:
        """The file for ``jwks=``: a key a line, the same bytes for the same keys."""
        lines = ",\n".join(json.dumps(key.as_dict()) for key in self.keys)
        return f'{{"keys": [\n{lines}\n]}}\n'.encode("ascii")


def parse(text: bytes, source: str) -> KeySet:
    """Read a set.

    Args:
        text: what a provider publishes.
        source: how messages call it.

    Raises:
        JwksError: it is too big, no set, holds a private or a malformed key, or one ``kid`` for two keys, or no key
            that Slurm could use.
    """
    if len(text) > MAXIMUM_BYTES:
        raise JwksError(f"{source}: {len(text)} bytes, and {MAXIMUM_BYTES} are allowed")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise JwksError(f"{source}: this is not JSON") from None
    entries = data.get("keys") if isinstance(data, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise JwksError(f"{source}: no key set, which is a JSON object whose member keys is a list of keys")
    if len(entries) > MAXIMUM_KEYS:
        raise JwksError(f"{source}: {len(entries)} keys, and {MAXIMUM_KEYS} are allowed")
    keys, dropped = [], []
    for number, entry in enumerate(entries, 1):
        name = f"{source}: key {number}" + (f" ({entry['kid']!a:.80})" if isinstance(entry.get("kid"), str) else "")
        _refuse_private(entry, name)
        reason = _useless(entry)
        if reason:
            dropped.append(f"{name} is left out: {reason}")
            continue
        key = PublicKey(_kid(entry["kid"], name), _number(entry, "n", name), _number(entry, "e", name))
        if key.bits < MINIMUM_BITS:
            dropped.append(f"{name} is left out: it has {key.bits} bits, and {MINIMUM_BITS} are needed")
            continue
        if key.bits > MAXIMUM_BITS or not key.n & key.e & 1 or not 3 <= key.e < 1 << 64:
            raise JwksError(f"{name}: n and e are no RSA key of {MINIMUM_BITS} to {MAXIMUM_BITS} bits")
        keys.append(key)
    if not keys:
        raise JwksError("; ".join([f"{source}: no key for {ALGORITHM} is in there", *dropped]))
    return KeySet(_unique({source: keys}), tuple(dropped))


def insist_on_public(text: str, source: str) -> None:
    """Raise JwksError for a set with private parts; what else may be wrong with it is for :func:`parse`."""
    with contextlib.suppress(ValueError, RecursionError, KeyError, TypeError):
        for number, entry in enumerate(json.loads(text)["keys"], 1):
            if isinstance(entry, dict):
                _refuse_private(entry, f"{source}: key {number}")


def merge(sets: Mapping[str, KeySet]) -> KeySet:
    """One set of all issuers' keys.

    A token names its key by ``kid`` alone and Slurm does not look at the issuer, so two keys of one name would make it
    a matter of order whose tokens are good.

    Raises:
        JwksError: two issuers have the same ``kid`` for different keys, or all of them together too many keys.
    """
    keys = _unique({issuer: one.keys for issuer, one in sets.items()})
    if len(keys) > MAXIMUM_KEYS:
        raise JwksError(f"{', '.join(sets)}: {len(keys)} keys together, and {MAXIMUM_KEYS} are allowed")
    return KeySet(keys, tuple(line for one in sets.values() for line in one.dropped))


def _unique(groups: Mapping[str, Iterable[PublicKey]]) -> tuple[PublicKey, ...]:
    found: dict[str, tuple[str, PublicKey]] = {}
    for issuer, keys in groups.items():
        for key in keys:
            first, known = found.setdefault(key.kid, (issuer, key))
            if known != key:
                both = issuer if first == issuer else f"{first} and {issuer}"
                raise JwksError(f"{both}: the kid {key.kid!a} stands for two different keys")
    return tuple(sorted(key for _issuer, key in found.values()))


def _refuse_private(entry: Mapping[str, Any], name: str) -> None:
    private = [member for member in _PRIVATE if member in entry]
    if private:
        raise JwksError(
            f"{name} has private parts ({', '.join(private)}): whoever reads this set can make tokens for every user.",
            "Have the issuer replace that key, and publish public keys only.",
        )


def _useless(entry: Mapping[str, Any]) -> str:
    """Why Slurm could not use a key; empty when it can."""
    use, algorithm, operations = entry.get("use", "sig"), entry.get("alg", ALGORITHM), entry.get("key_ops", ["verify"])
    if entry.get("kty") != "RSA":
        return f"its kty is {entry.get('kty')!a:.20}, and Slurm verifies with RSA keys only"
    if use != "sig":
        return f"its use is {use!a:.20}, which is not sig"
    if algorithm != ALGORITHM:
        return f"its alg is {algorithm!a:.20}, and Slurm verifies {ALGORITHM} only"
    # Some publish the operations of the private key.
    if not isinstance(operations, list) or not {"verify", "sign"} & {str(operation) for operation in operations}:
        return "its key_ops have neither verify nor sign"
    if entry.get("kid") in (None, ""):
        return "it has no kid, by which tokens name their key"
    return ""


def _kid(value: object, name: str) -> str:
    if not isinstance(value, str) or len(value) > MAXIMUM_KID or not value.isprintable():
        raise JwksError(f"{name}: its kid is no string of at most {MAXIMUM_KID} printable characters")
    return value


def _number(entry: Mapping[str, Any], member: str, name: str) -> int:
    value = entry.get(member)
    # A length of 4k+1 is none that base64 can have.
    if not isinstance(value, str) or not _BASE64URL.match(value) or len(value) % 4 == 1:
        raise JwksError(f"{name}: its {member} is missing, or not base64url without padding")
    return int.from_bytes(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)), "big")


def _encoded(number: int) -> str:
    """As few bytes as it takes: Slurm builds DER from them, which knows no leading zeros."""
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
