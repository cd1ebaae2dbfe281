"""Whom a gateway knows by a login, instead of a token of Slurm's."""

from __future__ import annotations

from dataclasses import dataclass

from .client import Credentials


@dataclass(frozen=True)
class SessionCredentials(Credentials):
    """Who has logged in at a gateway: ``token`` is the session's, and the name beside it is for people only."""

    kind = "session"

    def headers(self) -> dict[str, str]:
        """The header, with the session in clear."""
        return {"Authorization": f"Bearer {self.token.reveal()}"}


@dataclass(frozen=True)
class CertificateCredentials(Credentials):
    """Whom a gateway knows by the client certificate of the connection; ``token`` is never sent."""

    kind = "certificate"

    def headers(self) -> dict[str, str]:
        """Nothing: the certificate says it all."""
        return {}
