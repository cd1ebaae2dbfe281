"""The key with which a gateway signs its users' tokens: made on its host, and taken by the cluster or not."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from ..auth.jwks import KeySet
from ..auth.rs256 import PrivateKey
from ..auth.signing import claims_for, encode
from ..errors import InputError, SlurmrestError
from ..host import demanded, files, programs
from ..host.identity import account_facts
from ..host.owners import uid_for
from ..host.programs import Run
from ..host.reading import UnsafePath
from ..login.service import KEY_NAME
from ..login.tokens import ALGORITHM
from ..rest import answers
from ..rest.client import ClientError, Credentials, Target, request
from ..slurmrestd import listeners
from .logins import DIRECTORY, IDENTITY, PROVIDER

KEY = posixpath.join(DIRECTORY, "key.pem")
SECRET = posixpath.join(DIRECTORY, "client-secret")
BITS = 3072
NOBODY = "nobody"
"""Whom a token of the trial names: an account of every host, with no right to anything."""

_LIFESPAN = 60  # seconds of that token
_DEPLOY = "Run playbooks/deploy.yml, which makes the key and has slurmctld take it, then this again."
_OPENAPI = "/openapi/v3"


@dataclass(frozen=True)
class Made:
    """The key's public half as a set of keys; empty where there is none yet."""

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
    known = present()
    if known is None and check:
        return Made(changed=True, document="")
    if known is None:
        if programs.find("openssl") is None:
            raise SlurmrestError("There is no openssl on this host.", "Install the distribution's package openssl.")
        pem = demanded.demand(run(["openssl", "genrsa", str(BITS)], limit=programs.LOOKING_SECONDS))
        made = PrivateKey.load(pem, KEY_NAME)
        owner, group = uid_for(account), account_facts(account)["gid"]
        files.make_directory(DIRECTORY, 0, 0, 0o755)
        files.write(KEY, pem.encode("ascii"), owner, group, 0o600, secret=True)
        return Made(changed=True, document=_document(made))
    return Made(changed=False, document=_document(known))


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


def present() -> PrivateKey | None:
    """The key of this host; None where there is none. Raises KeyFormatError for what is none."""
    try:
        return PrivateKey.load(files.read(KEY).decode("ascii", "replace"), KEY_NAME)
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
    token = encode(claims_for(NOBODY, _LIFESPAN), key, {"alg": ALGORITHM, "kid": key.public.kid})
    silent = []
    for host in hosts:
        words, answered = _words(Target.parse(listeners.parse(host).url), Credentials(NOBODY, token))
        if answered and words:
            reason = f"slurmctld does not take what {KEY} signs: {words}"
            return InputError(IDENTITY, identity, "token, as long as that is so", reason, _DEPLOY)
        if answered:
            return None
        silent.append(words)
    reason = "no slurmrestd says whether slurmctld takes the gateway's key: " + "; ".join(silent)
    return InputError(IDENTITY, identity, "token, as long as that is so", reason)


def _words(target: Target, credentials: Credentials) -> tuple[str, bool]:
    """What the cluster says of a token, nothing where it is good; and whether it was asked at all."""
    headers = credentials.headers()
    try:
        served = answers.served_versions(request(target, "GET", _OPENAPI, headers=headers).json()).slurm
        answer = request(target, "GET", f"/slurm/{served[-1]}/diag", headers=headers)
        payload = answer.json()
    except ClientError as error:
        return str(error), False
    except (ValueError, IndexError):
        return f"{target} answers with what is not slurmrestd's", False
    good = answers.is_good(answer.status, payload)
    return "" if good else "; ".join(map(str, answers.errors_of(payload))) or str(answer.status), True


def _document(key: PrivateKey) -> str:
    return KeySet((key.public,)).render().decode("ascii")
