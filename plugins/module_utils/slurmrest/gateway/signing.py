"""The key with which a gateway signs its users' tokens: made on its host, and taken by the cluster or not."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from ..auth.jwks import KeySet
from ..auth.rs256 import PrivateKey
from ..errors import InputError, SlurmrestError
from ..host import failure, files, programs
from ..host.identity import account_facts
from ..host.logins import KEY_NAME
from ..host.owners import uid_for
from ..host.programs import Run
from ..host.reading import UnsafePath
from ..rest.key_trial import said_of
from .logins import DIRECTORY, IDENTITY, PROVIDER

KEY = posixpath.join(DIRECTORY, "key.pem")
NEXT = posixpath.join(DIRECTORY, "key-next.pem")
FORMER = posixpath.join(DIRECTORY, "key-former.pem")
"""While a key is replaced: the one that is to sign, and the one whose last tokens are still good."""

SECRET = posixpath.join(DIRECTORY, "client-secret")
BITS = 3072
_DEPLOY = "Run playbooks/deploy.yml, which makes the key and has slurmctld take it, then this again."


@dataclass(frozen=True)
class Made:
    """The public halves of all keys of this host as a set; empty where there is none yet."""

    changed: bool
    document: str


def have_key(account: str, *, check: bool = False, run: Run = programs.run) -> Made:
    """Have the key, readable by one account alone.

    Args:
        account: that of the identity service.
        check: change nothing.
        run: runs openssl.

    Raises:
        KeyFormatError: what is there is none.
        SlurmrestError: openssl makes none.
    """
    missing = present() is None
    if missing and not check:
        make(KEY, account, run)
    return Made(missing, document())


def make(path: str, account: str, run: Run = programs.run) -> None:
    """Make a key for this account alone. Raises SlurmrestError where openssl makes none."""
    if programs.find("openssl") is None:
        raise SlurmrestError("There is no openssl on this host.", "Install the distribution's package openssl.")
    pem = failure.demand(run(["openssl", "genrsa", str(BITS)], limit=programs.SECONDS))
    PrivateKey.load(pem, KEY_NAME)
    owner, group = uid_for(account), account_facts(account)["gid"]
    files.make_directory(DIRECTORY, 0, 0, 0o755)
    files.write(path, pem.encode("ascii"), owner, group, 0o600, secret=True)


def document(*but: str) -> str:
    """The public halves of this host's keys as the set that controllers are given, without those of some paths."""
    found = [present(path) for path in (KEY, NEXT, FORMER) if path not in but]
    public = tuple(dict.fromkeys(key.public for key in found if key is not None))
    return KeySet(public).render().decode("ascii") if public else ""


def have_secret(path: str, account: str, *, check: bool = False) -> bool:
    """Have the secret that the provider knows the gateway by, for the identity service to read; none without a path.

    Returns whether there was something to do. Raises InputError where others could read it, or it cannot be read.
    """
    if not path:
        left = os.path.exists(SECRET)
        if left and not check:
            files.remove(SECRET)
        return left
    try:
        content, status = files.read_with_status(path)
    except (OSError, UnsafePath) as error:
        raise InputError(f"{PROVIDER}: the file", path, "a file of root's", str(error)) from None
    if stat.S_IMODE(status.st_mode) & 0o077 or not content.strip():
        raise InputError(f"{PROVIDER}: the file", path, "one of mode 0600 that holds what the provider gave")
    if os.path.exists(SECRET) and files.read(SECRET) == content:
        return False
    if not check:
        files.write(SECRET, content, uid_for(account), account_facts(account)["gid"], 0o600, secret=True)
    return True


def present(path: str = "") -> PrivateKey | None:
    """The key of this host, or of a path; None where there is none. Raises KeyFormatError for what is none."""
    try:
        return PrivateKey.load(files.read(path or KEY).decode("ascii", "replace"), KEY_NAME)
    except FileNotFoundError:
        return None


def demand(identity: str) -> PrivateKey:
    """The key of this host. Raises InputError where there is none yet."""
    found = present()
    if found is None:
        raise InputError(IDENTITY, identity, "token, as long as this host has no key", f"{KEY} is missing", _DEPLOY)
    return found


def acceptance_problem(key: PrivateKey, identity: str, hosts: Sequence[str]) -> SlurmrestError | None:
    """Why slurmctld does not take what this key signs, as the first slurmrestd says that answers; None where it does.

    Args:
        key: of this host.
        identity: what the site wants it for.
        hosts: where slurmrestd is asked, as ``host:port`` or ``unix:/path``.
    """
    words, answered = said_of(key, hosts)
    if answered and not words:
        return None
    reason = f"slurmctld does not take what {KEY} signs: {words}" if answered else words
    remedy = _DEPLOY if answered else None
    return InputError(IDENTITY, identity, "token, as long as that is so", reason, remedy)
