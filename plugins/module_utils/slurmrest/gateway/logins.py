"""The variables of a gateway's logins, judged word by word; see :mod:`.settings` for those of nginx."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError
from ..host.https import is_https
from .values import PREFIX, number, one_of, path, plain, several

IDENTITY = PREFIX + "identity"
TOKEN, PAM, MTLS, OIDC = "token", "pam", "mtls", "oidc"
IDENTITIES = (TOKEN, PAM, MTLS, OIDC)
CLIENT_CA = PREFIX + "client_ca"
SUBJECTS = PREFIX + "subjects"
PROVIDER = PREFIX + "oidc"
URL = PREFIX + "url"
PAM_SERVICE = PREFIX + "pam_service"
GROUPS_DENIED = PREFIX + "groups_denied"
DIRECTORY = "/var/lib/slurmrest-identity"
"""Where the key that signs tokens is."""

OWN_SERVICE = "slurmrest-gateway"
"""The service of PAM whose file the role writes."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,255}")
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_WORD = re.compile(r"[\x21-\x7e]{1,200}")
_ISSUER = re.compile(r"https://[\x21-\x7e]{1,1000}")
_ADDRESS = re.compile(r"https://[A-Za-z0-9.:\[\]-]+")
_SUBJECT = re.compile(r"[\x20-\x7e]{1,1000}")


@dataclass(frozen=True)
class Logins:
    """How users show who they are. Lifespans are in seconds, ``rate`` in attempts a minute from one address."""

    identity: str
    token_seconds: int
    session_seconds: int
    rate: int
    least_uid: int
    pam_service: str = ""
    client_ca: str = ""
    subjects: Mapping[str, str] = field(default_factory=dict)
    provider: Mapping[str, str] = field(default_factory=dict)
    secret_file: str = ""
    users_denied: tuple[str, ...] = ()
    groups_denied: tuple[str, ...] = ()
    groups_allowed: tuple[str, ...] = ()

    @property
    def are_signed(self) -> bool:
        """Whether the gateway makes tokens of its own."""
        return self.identity != TOKEN


def logins(variables: Mapping[str, Any], own: str) -> Logins:
    """Read the variables; ``own`` is the gateway's address where they name none. Raises InputError for a bad value."""
    identity = one_of(variables, IDENTITY, IDENTITIES)
    by_certificate = identity == MTLS
    # Judged wherever they are said: what would be refused is refused before it is of use, too.
    said = {name for name in (CLIENT_CA, SUBJECTS, PAM_SERVICE, PROVIDER) if variables.get(name)}
    client_ca = path(variables, CLIENT_CA) if by_certificate or CLIENT_CA in said else ""
    subjects = _subjects(variables.get(SUBJECTS)) if by_certificate or SUBJECTS in said else {}
    service = _service(variables.get(PAM_SERVICE)) if identity == PAM or PAM_SERVICE in said else ""
    url = _url(variables.get(URL), own)
    provider = _provider(variables.get(PROVIDER), url) if identity == OIDC or PROVIDER in said else {}
    return Logins(
        identity=identity,
        token_seconds=number(variables, PREFIX + "token_lifespan", 60, 3600),
        session_seconds=number(variables, PREFIX + "session_lifespan", 300, 604_800),
        rate=number(variables, PREFIX + "login_rate", 1, 6000),
        least_uid=number(variables, PREFIX + "min_uid", 1, 60_000_000),
        pam_service=service if identity == PAM else "",
        client_ca=client_ca if by_certificate else "",
        subjects=subjects if by_certificate else {},
        provider=provider if identity == OIDC else {},
        secret_file=_secret_file(variables.get(PROVIDER)) if identity == OIDC else "",
        users_denied=_names(variables, "users_denied"),
        groups_denied=_names(variables, "groups_denied"),
        groups_allowed=_names(variables, "groups_allowed"),
    )


def _names(variables: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return tuple(map(str, several(variables, PREFIX + name, _name, least=0)))


def _name(variable: str, value: object) -> str:
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise InputError(variable, value, "names of accounts or groups")


def _service(value: object) -> str:
    if isinstance(value, str) and _SERVICE.fullmatch(value):
        return value
    raise InputError(PAM_SERVICE, value, "the name of a file in /etc/pam.d, of letters, digits, _ and -")


def _subjects(value: object) -> dict[str, str]:
    allowed = "names of certificates as RFC 2253 has them, each with its user, such as {'CN=Alice,O=Example': alice}"
    if not isinstance(value, Mapping) or not value:
        raise InputError(SUBJECTS, value, allowed)
    for subject, user in value.items():
        if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject) or "=" not in subject:
            raise InputError(SUBJECTS, subject, allowed)
        _name(SUBJECTS, user)
    return {str(subject): str(user) for subject, user in value.items()}


def _url(value: object, own: str) -> str:
    text = str(value or own)
    if isinstance(value, str) and is_https(text) and _ADDRESS.fullmatch(text):
        return text
    raise InputError(URL, value, "https://HOST or https://HOST:PORT, as browsers reach the gateway, or nothing")


def _provider(value: object, url: str) -> dict[str, str]:
    known = ("issuer", "client_id", "claim", "ca_file", "secret_file")
    if not isinstance(value, Mapping) or not set(value) <= set(known):
        raise InputError(PROVIDER, value, f"a mapping with {', '.join(known)}")
    issuer, client = value.get("issuer"), value.get("client_id")
    if not isinstance(issuer, str) or not _ISSUER.fullmatch(issuer) or not is_https(issuer):
        raise InputError(f"{PROVIDER}, issuer", issuer, "the provider's https:// address, as it calls itself")
    if not isinstance(client, str) or not _WORD.fullmatch(client):
        raise InputError(f"{PROVIDER}, client_id", client, "the name by which the provider knows the gateway")
    claim = value.get("claim") or "preferred_username"
    if not isinstance(claim, str) or not _WORD.fullmatch(claim):
        raise InputError(f"{PROVIDER}, claim", claim, "the name of a claim")
    authority = plain(f"{PROVIDER}, ca_file", str(value["ca_file"])) if value.get("ca_file") else ""
    return {"issuer": issuer, "client_id": client, "claim": claim, "ca_file": authority, "url": url}


def _secret_file(value: object) -> str:
    found = value.get("secret_file") if isinstance(value, Mapping) else None
    return plain(f"{PROVIDER}, secret_file", str(found)) if found else ""
