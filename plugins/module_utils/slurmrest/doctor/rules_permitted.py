"""Causes in what slurmctld lets the user of a client's request do: how often he asks, and in which accounts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .model import Cluster, Host, Rule, Sign
from .remedies import word
from .rules_requests import client_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LIMITED = "RPC rate limit exceeded by uid"
_ENFORCING = {"associations", "limits", "qos", "safe", "wckeys", "all"}
_SUBMITS = re.compile(r"/slurm/[\w.]+/job/(?:submit|allocate)\b")


def _user(client: Mapping[str, Any]) -> str:
    return str(client["user"] or (client["token"] or {}).get("user") or "")


def _words(host: Host, key: str) -> set[str]:
    entry = host.entry("slurm_conf", key)
    return {item.strip().lower() for item in (entry[0] if entry else "").split(",")}


def _rate(cluster: Cluster) -> Iterator[Sign]:
    """It tells its clients to wait, and slurmrestd waits as they do: what asks it hears nothing for long."""
    for rest, client in client_of(cluster):
        bad = [answer for answer in (client.get("repeated"), client["answer"]) if answer and not answer["good"]]
        user = _user(client)
        for host in cluster.role("slurmctld") if bad else ():
            uid = (host.evidence["users"].get(user) or {}).get("uid")
            said = host.said("slurmctld", rf"{_LIMITED} {'' if uid is None else uid}\b", runs=1)
            if said and "rl_enable" in _words(host, "SlurmctldParameters"):
                yield Sign(
                    rest.name,
                    f"slurmctld answers {user or 'this user'} no more for now: he asks more often than its rate limit "
                    "allows, and his requests wait.",
                    [said[0], f"{host.name}: {host.line('slurm_conf', 'SlurmctldParameters')}"],
                    "Have the client ask less often, for more at once (/jobs/ in place of one job after the other). "
                    "Where that many are meant, raise rl_bucket_size and rl_refill_rate in SlurmctldParameters, then "
                    "scontrol reconfigure.",
                )


def _association(cluster: Cluster) -> Iterator[Sign]:
    """Whoever is in no account submits nothing where associations are enforced; slurmctld was asked for its users."""
    for rest, client in client_of(cluster):
        user, diag = _user(client), rest.http.get("diag") or {}
        for host in cluster.role("slurmctld") if diag.get("good") and _SUBMITS.match(client["path"]) else ():
            known = host.evidence.get("slurm_users")
            enforced = _words(host, "AccountingStorageEnforce") & _ENFORCING
            if user in ("", "root") or not enforced or known is None or user in known or host.down("slurmctld"):
                continue
            yield Sign(
                rest.name,
                f"slurmctld knows no association of {user}, and takes jobs only of users who have one.",
                [
                    f"{host.name}: {host.line('slurm_conf', 'AccountingStorageEnforce')}",
                    f"scontrol show assoc_mgr users={user} flags=users: nothing on {host.name}",
                ],
                f"sacctmgr show association user={word(user)} shows what the database has; sacctmgr add user "
                f"{word(user)} account=ACCOUNT makes one.",
            )


RULES = (
    Rule(
        "request-rate-limited",
        "The client's user asks more often than slurmctld allows",
        "slurm.conf(5), SlurmctldParameters, rl_enable",
        _rate,
        explains=("request-token-wrong", "request-fails"),
        by_hand="how often a user may ask is the site's to say",
    ),
    Rule(
        "request-association-missing",
        "The client's user has no association",
        "slurm.conf(5), AccountingStorageEnforce; sacctmgr(1)",
        _association,
        explains=("request-fails",),
        by_hand="which account a user belongs to is the site's to say",
    ),
)
