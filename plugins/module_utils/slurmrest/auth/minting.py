"""Tokens for users: asked of scontrol, or signed with the key by those who hold it; written privately; looked into."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from ..errors import InputError
from ..host import files, programs, reading
from ..host.login import of_the_user
from ..host.programs import Done
from ..slurm import conf as slurmconf
from ..slurm.releases import first_with, lookup
from . import bearer, claims, jwt, keys
from .bearer import TOKEN_HEADER, USER_HEADER
from .scontrol import PATIENCE, AskScontrol, NoTokenError, account, answered, made

__all__ = [
    "FORMS",
    "INFINITE",
    "LONGEST",
    "NoTokenError",
    "account",
    "configured_slurm_user",
    "from_scontrol",
    "inspection",
    "lifespan",
    "read_key",
    "render",
    "signed",
    "write_private",
]

LONGEST = 86400  # seconds that a token is given without being asked twice
INFINITE = 2**31 - 2  # seconds; what scontrol makes of lifespan=infinite (scontrol.c)
FORMS = ("export", "plain", "header")
_CONFIGURATIONS = ("/etc/slurm/slurm.conf", "/etc/slurm-llnl/slurm.conf", "/usr/local/etc/slurm.conf")

_MILLISECONDS = 1e11  # what is later than the year 5000 in seconds is a time of our days in milliseconds
_CLOCKS = 60.0  # seconds by which clocks may differ without a word


def lifespan(text: str, *, long: bool = False) -> int | None:
    """Seconds from an argument; None for ``infinite``. InputError for more than a day unless `long`, and for both."""
    allowed = f"1 to {LONGEST} seconds"
    if text == "infinite":
        if not long:
            raise InputError("--lifespan", text, f"{allowed}; with --long any, and infinite")
        return None
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= INFINITE:
        raise InputError("--lifespan", text, f"{allowed}; with --long up to {INFINITE}, and infinite")
    if int(text) > LONGEST and not long:
        raise InputError(
            "--lifespan",
            text,
            f"{allowed}; more with --long",
            reason="a token cannot be taken back before it expires, except with all others, by a new key",
        )
    return int(text)


def from_scontrol(user: str | None, seconds: int | None, ask: AskScontrol | None = None) -> bearer.Token:
    """Ask slurmctld through scontrol, for oneself or (root and SlurmUser) for `user`; None seconds is for ever.

    Args:
        user: whom the token is for.
        seconds: how long it lives.
        ask: runs scontrol with these words; by default as the user who runs this would, for the cluster that SLURM_CONF
            names, but without SLURM_JWT, by which scontrol would log in.

    Raises NoTokenError, and InputError for a token without end from a release that does not know one.
    """
    ask = ask or _as_the_user
    if seconds is None:
        if user is not None:
            account(user)
        _demand_infinite(answered(ask("--version")).stdout)
    return made(user, "infinite" if seconds is None else str(seconds), ask)


def _as_the_user(*words: str) -> Done[str]:
    own = of_the_user()
    program = programs.find("scontrol", filter(None, own.get("PATH", "").split(os.pathsep))) or "scontrol"
    return programs.run([program, *words], limit=PATIENCE, environment=own)


def signed(path: str, user: str, seconds: int | None) -> bearer.Token:
    """Sign a token for `user` with the key in a file. Raises NoTokenError when others can get at the key."""
    key = read_key(path)
    return jwt.encode(jwt.claims_for(account(user), INFINITE if seconds is None else seconds), key)


def read_key(path: str, slurm_user: str | None = None) -> jwt.Key:
    """The key in a file that nobody but root and SlurmUser can read or replace. Raises NoTokenError for another."""
    try:
        problems = keys.key_file_problems(path, slurm_user or configured_slurm_user())
        if not problems:
            return jwt.Key(files.read(path, keys.MAXIMUM_BYTES))
    except (OSError, reading.UnsafePath) as error:
        raise NoTokenError(f"--key-file {path}: {getattr(error, 'strerror', None) or error}.") from None
    raise NoTokenError(
        f"--key-file {path} is refused, for who can read it can be root on the cluster: {'; '.join(problems)}.",
        "If others could read it, make a new key: this one may be known. Allowed: " + keys.ALLOWED + ".",
    )


def configured_slurm_user(environment: Mapping[str, str] | None = None) -> str:
    """SlurmUser as slurm.conf says, for whom the key is; root where it says nothing (slurm.conf(5))."""
    environment = os.environ if environment is None else environment
    for path in (environment.get("SLURM_CONF"), *_CONFIGURATIONS):
        found = slurmconf.read(path, _content) if path else None
        if found is not None:
            return found.get("SlurmUser", "root") or "root"
    return "root"


def render(token: bearer.Token, user: str, form: str) -> str:
    """The token as text: ``export`` (SLURM_JWT=…), ``plain``, or ``header`` for ``curl -H @FILE``."""
    value = token.reveal()
    return {
        "export": f"SLURM_JWT={value}\n",
        "plain": f"{value}\n",
        "header": f"{USER_HEADER}: {user}\n{TOKEN_HEADER}: {value}\n",
    }[form]


def write_private(path: str, text: str) -> None:
    """Put text into a file of mode 0600, whole or not at all. Raises NoTokenError.

    A link is not followed, it is replaced; what is no regular file (a device, a folder) is refused.
    """
    try:
        files.write(path, text.encode("ascii"), os.geteuid(), os.getegid(), 0o600, secret=True)
    except reading.UnsafePath as error:
        raise NoTokenError(f"--output {path}: {error.message}", error.remedy) from None
    except OSError as error:
        raise NoTokenError(f"--output {path}: {error.strerror or error}.") from None


def inspection(token: bearer.Token, key: jwt.Key | None = None, now: float | None = None) -> dict[str, Any]:
    """What a token says: ``algorithm``, ``foreign_type``, ``user``, ``claims``, ``expires``, ``remaining`` (seconds).

    Also ``expired`` and ``expiry_fault``, which says why an ``exp`` that is no whole number counts as expired;
    ``remarks`` on times that are odd; ``signature``: "good", "bad" or "not checked"; ``usable``: False when the token
    has expired, names no user or has a bad signature. Raises TokenError when it is no JWT.
    """
    found = jwt.inspect(token)
    instant = time.time() if now is None else now
    signature = "not checked"
    if key is not None:
        signature = "good" if jwt.signature_matches(token, key) else "bad"
    remaining = None if found.expires is None else found.expires - instant
    expired = remaining is None or remaining < 0
    return {
        "algorithm": found.algorithm,
        "foreign_type": foreign_type(found),
        "user": found.user,
        "claims": dict(found.claims),
        "expires": found.expires,
        "remaining": None if remaining is None else round(remaining),
        "expired": expired,
        "expiry_fault": found.expiry_fault,
        "remarks": remarks(found, instant),
        "signature": signature,
        "usable": bool(found.user) and not expired and signature != "bad",
    }


def _demand_infinite(version: str) -> None:
    release = lookup(version, "scontrol --version").release
    if not release.lifespan_infinite:
        raise InputError(
            "--lifespan",
            "infinite",
            f"a number of seconds on Slurm {release.series}",
            reason=f"Slurm knows this since {first_with('lifespan_infinite')} and would give the default before",
        )


def _content(path: str) -> str | None:
    try:
        return reading.read_if_there(path)
    except PermissionError:
        return None


def foreign_type(found: claims.Inspected) -> str:
    """The ``typ`` of the header where it is another than JWT: libjwt before 1.12 refuses such a token."""
    kind = claims.text(found.header.get("typ"))
    return "" if kind.upper() == "JWT" else kind


def remarks(found: claims.Inspected, now: float) -> list[str]:
    """What is odd about its times, though Slurm takes it."""
    said = []
    if found.expires is not None and found.expires >= _MILLISECONDS:
        said.append(
            f"exp is {found.expires:.0f}: so many seconds are over in thousands of years. It was given in "
            "milliseconds; Slurm takes such a token, and it does not expire."
        )
    issued = claims.number(found.claims.get("iat"))
    if issued is not None and issued > now + _CLOCKS:
        said.append(
            f"iat lies {issued - now:.0f} s in the future: the clock of who made the token, or of this host, is "
            "wrong, or iat was given in milliseconds. Slurm does not look at it."
        )
    return said
