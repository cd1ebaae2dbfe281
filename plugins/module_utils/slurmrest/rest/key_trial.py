"""Whether slurmctld takes what a key of a gateway signs, asked with a token of an account that may do nothing."""

from __future__ import annotations

from collections.abc import Sequence

from ..auth.jwks import ALGORITHM
from ..auth.rs256 import PrivateKey
from ..auth.signing import claims_for, encode
from ..slurmrestd import listeners
from . import answers
from .client import ClientError, Credentials, Target, request

NOBODY = "nobody"
"""Whom the token names: an account of every host, with no right to anything."""

_LIFESPAN = 60  # seconds of that token
_OPENAPI = "/openapi/v3"


def said_of(key: PrivateKey, hosts: Sequence[str]) -> tuple[str, bool]:
    """What slurmctld says of a token that this key signs, as the first slurmrestd tells that answers.

    Args:
        key: the private key.
        hosts: where slurmrestd is asked, as ``host:port`` or ``unix:/path``.

    Returns words, nothing where the token is good; and whether any host answered.
    """
    token = encode(claims_for(NOBODY, _LIFESPAN), key, {"alg": ALGORITHM, "kid": key.public.kid})
    silent = []
    for host in hosts:
        words, answered = _words(Target.parse(listeners.parse(host).url), Credentials(NOBODY, token))
        if answered:
            return words, True
        silent.append(words)
    return "no slurmrestd says whether slurmctld takes the gateway's key: " + "; ".join(silent), False


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
