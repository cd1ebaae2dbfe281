"""The doctor for the host it runs on, without an inventory: what one host shows of its daemons, and what it cannot."""

from __future__ import annotations

import secrets
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..auth import minting
from ..auth.claims import owner
from ..errors import InputError, SlurmrestError
from ..facts.detection import columns, with_release
from ..slurmrestd.spelling import read
from ..slurmrestd.strangers import accounts_of, strangers
from . import gateway
from .diagnosis import diagnose
from .inquiry import ADMINISTRATOR, inquire
from .judgement import judged
from .model import Cluster, harmless
from .request import told_of
from .thorough import gather

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..auth.bearer import Token
    from .diagnosis import Diagnosis

TOKEN_SECONDS = 600
NAMES = {"slurmctld": "slurmctld_hosts", "slurmdbd": "accounting_storage_hosts"}
"""Where slurm.conf says on which hosts the daemons run that others ask."""


class NothingHereError(SlurmrestError):
    """This host has nothing that a doctor could look at."""


@dataclass(frozen=True)
class LocalRequest:
    """A client's request that does not work: method and path, the user it names, and the token it sends."""

    method: str
    path: str
    user: str = ""
    token: Token | None = None

    @classmethod
    def parse(cls, line: str, user: str = "", token: Token | None = None) -> LocalRequest:
        """Read ``METHOD PATH``. InputError for anything else."""
        method, _, path = line.partition(" ")
        if not method.isalpha() or not path.startswith("/") or " " in path:
            raise InputError("--request", line, "METHOD and PATH, such as 'GET /slurmdb/v0.0.42/diag'")
        return cls(method.upper(), path, user, token)

    def variables(self) -> dict[str, str]:
        """The same as data, without the token."""
        return {"method": self.method, "path": self.path, "user": self.user}

    def client(self) -> dict[str, Any]:
        """The same, with what it says by itself: how :func:`.inquiry.inquire` is given it."""
        return {**self.variables(), "told": told_of(self.path, self.token)}


@dataclass(frozen=True)
class Examination:
    """The report, the evidence it was made from, and what was not seen, in sentences."""

    host: str
    report: Diagnosis
    evidence: Mapping[str, Any]
    unseen: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able: the report, with ``host`` and ``unseen``."""
        return {**self.report.as_dict(), "host": self.host, "unseen": list(self.unseen)}


def examine(*, listen: Sequence[str] = (), instance: str = "", request: LocalRequest | None = None) -> Examination:
    """Look at this host, ask its slurmrestd with a token that scontrol makes, and name the causes. Changes nothing.

    It has to run as root: anybody else sees neither keys nor who listens.
    Raises NothingHereError where there is no Slurm.

    Args:
        listen: addresses where clients expect slurmrestd, besides its own listeners.
        instance: that of ``slurmrestd@INSTANCE``, where several serve.
        request: a client's request to explain; repeated where it is a GET.
    """
    name = socket.gethostname().partition(".")[0]
    users = list(dict.fromkeys(filter(None, (request.user, owner(request.token))))) if request else []
    wanted = {"listen": listen, "instance": instance, "users": users, "salt": secrets.token_hex(), "columns": columns()}
    begin = time.time()
    evidence = judged(gather(wanted))
    evidence["facts"] = with_release(evidence["facts"])
    evidence["asked"] = [begin, time.time()]
    evidence["gateway"] = gateway.look()
    evidence["taken"] = gateway.kids(evidence["facts"]["slurm_conf"]["jwks"] or "")
    if not evidence["roles"] and not evidence["facts"]["version"] and not evidence["gateway"]:
        raise NothingHereError(f"there is no Slurm on {name}.", "Run it on the host of slurmrestd or of slurmctld.")
    no_token = ""
    if "slurmrestd" in evidence["roles"]:
        token, no_token = _token(evidence)
        evidence["http"] = _ask(name, evidence, token, request)
        # Elsewhere it need not be a fault: a REST host has no munge of root's, or may not reach the controller.
        evidence["token_refused"] = no_token if "slurmctld" in evidence["roles"] else None
    report = diagnose(Cluster.of({name: evidence}))
    return Examination(name, report, evidence, list(unseen(evidence, no_token, asked=request is not None)))


def _token(evidence: Mapping[str, Any]) -> tuple[Token | None, str]:
    """A token of the administrator, or why there is none; scontrol tries long for a controller that is down."""
    here = Cluster.of({"": evidence}).role("slurmctld")
    if here and here[0].down("slurmctld"):
        return None, "slurmctld does not run on this host"
    try:
        return minting.from_scontrol(ADMINISTRATOR, TOKEN_SECONDS), ""
    except SlurmrestError as error:
        return None, str(error)


def _ask(name: str, evidence: Mapping[str, Any], token: Token | None, request: LocalRequest | None) -> dict[str, Any]:
    unit = evidence["facts"]["unit"]
    told = [*(entry["text"] for entry in unit["listeners"]), *evidence["expected"]]
    listeners = [listener for listener in map(read, told) if listener]
    accounts = accounts_of(f"{evidence.get('service') or 'slurmrestd'}.service", unit["user"])
    return inquire(
        [listener.url for listener in listeners],
        token,
        held=lambda: strangers(listeners, accounts),
        accounting=bool(evidence["facts"]["slurm_conf"]["accounting"]),
        patience=Cluster.of({name: evidence}).patience,
        client=request.client() if request else None,
        client_token=request.token if request else None,
    )


def unseen(evidence: Mapping[str, Any], no_token: str, *, asked: bool = False) -> Iterator[str]:
    """Say what one host cannot show, in sentences.

    Args:
        evidence: that of this host.
        no_token: why there was no token; empty where there was one.
        asked: whether a client's request was to be explained.
    """
    facts, roles = harmless(evidence["facts"]), evidence["roles"]
    if "slurmrestd" not in roles:
        rest = "slurmrestd neither runs nor is enabled here: no request was sent"
        yield f"{rest}, and the client's was not looked at." if asked else f"{rest}."
    elif no_token:
        yield f"No token was to be had here, so that only the listeners were asked. {no_token}"
    elsewhere = False
    for daemon, key in NAMES.items():
        if daemon in roles or (daemon == "slurmdbd" and not facts["slurm_conf"]["accounting"]):
            continue
        hosts = ", ".join(facts["slurm_conf"].get(key) or ()) or "a host that slurm.conf here does not name"
        yield f"{daemon} runs elsewhere ({hosts}): its unit, its key, its configuration and its log were not looked at."
        elsewhere = True
    more = facts["slurm_conf"].get("slurmctld_hosts") or ()
    if "slurmctld" in roles and len(more) > 1:
        yield f"There are several controllers ({', '.join(more)}): only the one on this host was looked at."
        elsewhere = True
    if elsewhere:
        yield (
            "Keys, slurm.conf and clocks were not compared between hosts. "
            "With an inventory of all of them: ansible-playbook slurmrest.toolkit.doctor"
        )
