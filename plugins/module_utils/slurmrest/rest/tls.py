"""How https is spoken, with a client certificate where somebody asks for one."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace

from ..errors import InputError
from .client import Target, trusting, why


@dataclass(frozen=True)
class Tls:
    """How to speak https. `cacert` holds the authorities to trust instead of the host's, `cert` a client certificate.

    `key` is the private key of `cert`, where it is in a file of its own. `insecure` checks no certificate. `name` is
    what the server's certificate must say, where that is not the host that is asked.
    """

    cacert: str | None = None
    cert: str | None = None
    key: str | None = None
    insecure: bool = False
    name: str = ""

    def target(self, url: str) -> Target:
        """A target whose certificate is checked for this name. Raises InputError as :meth:`Target.parse` does."""
        return replace(Target.parse(url), name=self.name)

    def context(self) -> ssl.SSLContext:
        """A context for :func:`request`. Raises InputError for a file that cannot be used."""
        context = trusting(self.cacert)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert is not None:
            try:
                context.load_cert_chain(self.cert, self.key, password=_no_password)
            except (OSError, ValueError) as error:
                given = self.cert if self.key is None else f"{self.cert} {self.key}"
                allowed = "a PEM certificate and its private key, which no passphrase protects"
                raise InputError("--cert/--key", given, allowed, why(error)) from None
        return context


def _no_password() -> str:
    raise ValueError("a passphrase protects the private key")
