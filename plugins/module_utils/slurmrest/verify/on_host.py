"""A verification on the host of slurmrestd itself, as the action plugin asks for it. No host needs what judges it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

from ..auth.bearer import Token
from ..errors import InputError
from ..host.network import connect
from ..rest.answer_columns import Table
from ..rest.client import Credentials, Target, trusting
from ..rest.session import Session, Wishes
from ..slurm.version import Excerpt
from ..slurmrestd import strangers
from .asking import ask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..rest.session import JobOptions
    from .check import Check
    from .report import Report


class HostRequest(TypedDict):
    """What the controller knows of this host by its facts, and of releases."""

    urls: list[str]
    unit: str
    """The service, such as ``slurmrestd.service``."""
    account: str
    """That of the unit; empty for root."""
    accounting: bool
    slurmdbd: list[tuple[str, str]]
    """Host and port of those that slurm.conf names."""
    daemons: list[tuple[str, str, int]]
    """Name, host and port of those that may serve pages of their own."""
    table: Excerpt


ARGUMENTS: dict[str, dict[str, Any]] = {
    "told": {"type": "dict"},
    "user": {"type": "str", "default": "root"},
    "token": {"type": "str", "no_log": True},
    "job_user": {"type": "str"},
    "job_token": {"type": "str", "no_log": True},
    "tls_cacert": {"type": "str"},
    "tls_name": {"type": "str"},
}
"""Of each module that asks slurmrestd on its host."""


def asked(wanted: Mapping[str, Any], checks: Sequence[Check], job: JobOptions | None = None) -> Report:
    """Do these checks.

    Args:
        wanted: :data:`ARGUMENTS`; ``told`` is :class:`HostRequest`.
        checks: what to do.
        job: how the test job runs, where the checks submit one.

    Raises SlurmrestError where a token is not to be had, or would go to somebody else.
    """
    told: HostRequest = wanted["told"]
    watch = strangers.watch(strangers.accounts_of(told["unit"], told["account"]))
    targets = [replace(Target.parse(url), name=wanted["tls_name"] or "", watch=watch) for url in told["urls"]]
    if not targets:
        raise InputError("urls", "", "at least one listener")
    for target in targets:
        watch(target)
    own = Credentials(wanted["user"], Token(wanted["token"] or ""))
    other = wanted["job_user"]
    session = Session(
        targets[0],
        own,
        Credentials(other, Token(wanted["job_token"] or "")) if other else own,
        Wishes(accounting=told["accounting"], job=job, unit=told["unit"].removesuffix(".service")),
        Table(told["table"]),
        trusting(wanted["tls_cacert"] or None) if any(target.is_tls for target in targets) else None,
        reach_slurmdbd=lambda: unreached(told["slurmdbd"]),
    )
    return ask(session, targets, checks)


def unreached(hosts: Sequence[tuple[str, str]]) -> str:
    """Why none of these hosts takes a connection for slurmdbd; empty where one does."""
    tried = {(host, port): connect(host, port)["error"] for host, port in hosts}
    return "" if "" in tried.values() else "; ".join(f"{host}, port {at}: {why}" for (host, at), why in tried.items())
