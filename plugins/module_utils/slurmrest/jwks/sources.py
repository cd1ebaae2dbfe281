"""Where an identity provider's keys come from: a URL, asked within bounds, or a document at hand.

Whoever can put a key into the set can be any user of the cluster, root included. So a URL is https with a certificate
that is checked, or plain http that does not leave this host; redirections and proxies are not followed.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..auth import jwks
from ..errors import InputError
from ..host.trust import roots_alone
from ..rest.client import ClientError, Target, request
from ..rest.tls import Tls

VARIABLE = "slurm_jwks_issuers"
TIMEOUT = 15.0
"""Seconds for one provider."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_URL = re.compile(r"[\x21-\x7e]{1,2000}\Z")
UNPRIVILEGED_PORTS = 1024
"""From here on any account may listen (ip_unprivileged_port_start in ip(7), if nobody changed it)."""

_ALLOWED = "https://HOST/PATH, or http:// on loopback (127.0.0.1, [::1], localhost) with a port below 1024"


@dataclass(frozen=True)
class Source:
    """One issuer: ``url`` of its key set, with ``ca_file`` instead of the host's authorities, or the ``document``."""

    name: str
    url: str = ""
    ca_file: str = ""
    document: str = ""

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise InputError(f"{VARIABLE}, name", self.name, "letters, digits, dots, dashes and underscores")
        if bool(self.url) == bool(self.document):
            raise InputError(f"{VARIABLE}, {self.name}", self.url, "either a url, or a file that is not empty")
        if self.url:
            self._judge_url()
        if self.ca_file and (not self.url.startswith("https:") or not self.ca_file.startswith("/")):
            raise InputError(f"{VARIABLE}, {self.name}: ca_file", self.ca_file, "an absolute path, for an https URL")

    @property
    def where(self) -> str:
        """How messages call it."""
        return f"{self.name} ({self.url})" if self.url else self.name

    def read(self, timeout: float = TIMEOUT) -> jwks.KeySet:
        """The keys as they are now.

        Args:
            timeout: seconds for the whole answer.

        Raises:
            JwksError: there is no answer, or it is none to be used.
            InputError: ``ca_file`` cannot be used.
        """
        return jwks.parse(self._fetch(timeout) if self.url else self.document.encode(), self.where)

    def _judge_url(self) -> None:
        variable = f"{VARIABLE}, {self.name}: url"
        if "@" in self.url:
            raise InputError(variable, "…@…", _ALLOWED, "a user or password does not belong into it")
        if not _URL.match(self.url):
            raise InputError(variable, self.url, _ALLOWED, "it is not plain ASCII without blanks")
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise InputError(variable, self.url, _ALLOWED, str(error)) from None
        if parts.scheme not in ("http", "https") or not host or port == 0 or parts.fragment:
            raise InputError(variable, self.url, _ALLOWED)
        if parts.scheme == "http" and not (_is_loopback(host) and (port or 80) < UNPRIVILEGED_PORTS):
            whoever = "is on the way" if not _is_loopback(host) else "has an account here, while the issuer is down,"
            why = f"whoever {whoever} could put in a key, and with it be any user of the cluster"
            raise InputError(variable, self.url, _ALLOWED, why)

    def _fetch(self, timeout: float) -> bytes:
        parts = urlsplit(self.url)
        target = Target.parse(f"{parts.scheme}://{parts.netloc}")
        context = None
        if parts.scheme == "https":
            variable = f"{VARIABLE}, {self.name}: ca_file"
            if self.ca_file and os.path.exists(self.ca_file) and not roots_alone(self.ca_file):
                why = "others can change it, or what it is in, and with that whose keys are taken"
                raise InputError(variable, self.ca_file, "a file that root alone can change", why)
            try:
                context = Tls(cacert=self.ca_file or None).context()
            except InputError as error:
                raise InputError(variable, self.ca_file, error.allowed, error.reason) from None
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            answer = request(target, "GET", path, timeout=timeout, max_body=jwks.MAXIMUM_BYTES, context=context)
        except ClientError as error:
            # The remedies of that error are slurmrestd's.
            raise jwks.JwksError(f"{self.where}: {error.message}") from None
        if answer.status != 200:
            raise jwks.JwksError(f"{self.where}: answered with status {answer.status} instead of 200")
        return answer.body


def sources(entries: Sequence[Mapping[str, Any]], documents: Mapping[str, str] | None = None) -> tuple[Source, ...]:
    """Read the issuers of a variable.

    Args:
        entries: ``name``, and ``url`` with ``ca_file`` or not, or ``file``, or ``document``.
        documents: what is in each ``file``, which is none of this host.

    Raises:
        InputError: an issuer that is refused, or none, or two of one name.
    """
    found = []
    for entry in entries:
        given = {name: str(value) for name, value in entry.items() if value is not None}
        unknown = sorted(set(given) - {"name", "url", "ca_file", "file", "document"})
        if unknown or "name" not in given:
            raise InputError(VARIABLE, ", ".join(unknown) or "no name", "name, url, ca_file, file")
        if "file" in given:
            given["document"] = (documents or {}).get(given.pop("file"), "")
        found.append(Source(**given))
    names = [source.name for source in found]
    if not found or len(set(names)) < len(names):
        raise InputError(VARIABLE, ", ".join(names), "one or more issuers, each of another name")
    return tuple(found)


def read_all(issuers: Sequence[Source], timeout: float = TIMEOUT) -> jwks.KeySet:
    """The keys of all issuers, merged. `timeout` (seconds) is for each. Raises JwksError when one fails."""
    return jwks.merge({source.where: source.read(timeout) for source in issuers})


def _is_loopback(host: str) -> bool:
    """Whether a host is this one, whatever its name resolves to."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    if host.lower() != "localhost":
        return False
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(str(address).partition("%")[0]).is_loopback for address in found)
