"""What logins need of a gateway's host, before anything changes: a key that the cluster takes, and who knows users."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator

from ..errors import InputError, SlurmrestError
from ..host import certificate
from ..host.trust import roots_alone
from ..login.oidc import Client, CodeFlow, LoginError
from ..login.policy import Policy
from . import signing
from .logins import CLIENT_CA, GROUPS_DENIED, MTLS, OIDC, OWN_SERVICE, PAM, PAM_SERVICE, PROVIDER
from .settings import Settings

SERVICES = "/etc/pam.d"


def judge_logins(settings: Settings) -> None:
    """Judge the logins of a gateway on this host.

    Raises:
        SlurmrestError: with a text for each thing that cannot work.
    """
    problems = [str(problem) for problem in _problems(settings)]
    if problems:
        raise SlurmrestError(" ".join(problems))


def _problems(settings: Settings) -> Iterator[SlurmrestError]:
    logins = settings.logins
    if logins.identity == PAM and logins.pam_service != OWN_SERVICE:
        path = posixpath.join(SERVICES, logins.pam_service)
        if not os.path.isfile(path):
            yield InputError(PAM_SERVICE, logins.pam_service, f"{OWN_SERVICE}, or one that is there", f"no {path}")
    unknown = Policy("", groups_denied=logins.groups_denied).unknown_groups()
    if unknown:
        reason = f"this host does not know {', '.join(unknown)}, nor who is a member"
        yield InputError(GROUPS_DENIED, list(logins.groups_denied), "groups of the gateway's host", reason)
    if logins.identity == MTLS:
        reason = certificate.no_authorities(logins.client_ca)
        if reason:
            yield InputError(CLIENT_CA, logins.client_ca, "certificates of authorities, in PEM", reason)
    # Whoever changes one of them says who is who.
    for variable, path in ((CLIENT_CA, logins.client_ca), (f"{PROVIDER}, ca_file", logins.provider.get("ca_file", ""))):
        if path and os.path.exists(path) and not roots_alone(path):
            reason = "others can change it, or what it is in"
            yield InputError(variable, path, "a file that root alone can change", reason)
    if logins.identity == OIDC:
        try:
            CodeFlow(Client(**logins.provider)).begin("")
        except LoginError as error:
            yield InputError(f"{PROVIDER}, issuer", logins.provider["issuer"], "a provider that answers", str(error))
    try:
        problem = signing.acceptance_problem(signing.demand(logins.identity), logins.identity, settings.hosts)
    except SlurmrestError as error:
        problem = error
    if problem is not None:
        yield problem
