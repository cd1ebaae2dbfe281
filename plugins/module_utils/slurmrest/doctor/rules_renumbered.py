"""Causes in the number of SlurmUser's account: what is his belongs to a uid that he had before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .model import CONFS, Cluster, Host, Rule, Sign
from .rules_keys import JWT, KEY_FATALS, REFUSALS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PLACES = 2
"""So many places of one nameless uid are no accident."""


def _renumbered(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.hosts:
        account = host.facts.get("slurm_user") or {}
        if not account.get("exists") or not {*CONFS} & set(host.roles):
            continue
        for uid, paths in _of_nobody(host, account).items():
            if len(paths) >= _PLACES:
                yield Sign(
                    host.name,
                    f"SlurmUser {account['name']} has uid {account['uid']}, and its files belong to uid {uid}, which "
                    "is no account's: the account was made anew, or given another number.",
                    [
                        *(f"{path}: uid {uid}, which has no name" for path in paths),
                        f"uid {account['uid']}: its account",
                    ],
                    _one_number(host, account, uid),
                )


def _of_nobody(host: Host, account: Mapping[str, Any]) -> dict[int, list[str]]:
    """The places that are SlurmUser's, by their uid, where that is neither his nor root's, and has no name."""
    places = dict(_places(host, account["name"]))
    nameless = {uid for uid, owner in places.values() if owner == str(uid)}
    found: dict[int, list[str]] = {}
    for path, (uid, owner) in places.items():
        if uid in nameless - {0, account["uid"]} and owner in (None, str(uid)):
            found.setdefault(uid, []).append(path)
    return found


def _places(host: Host, name: str) -> Iterator[tuple[str, tuple[int, str | None]]]:
    """Each place with its uid, and with the owner's name where that was looked up."""
    for key in host["keys"].values():
        if key.get("exists") and key.get("reader") == name:
            yield from ((entry["path"], (entry["uid"], None)) for entry in key["directories"][:1])
            yield key["real_path"], (key["uid"], None)
    conf = host.facts["slurmdbd_conf"]
    file, state = host["files"].get(conf["path"]) or {}, host.evidence.get("state") or {}
    if file.get("exists") and conf["slurm_user"] == name and "slurmdbd" in host.roles:
        yield conf["path"], (file["uid"], file["owner"])
    if state.get("exists") and "uid" in state:
        yield state["path"], (state["uid"], state["owner"])


def _one_number(host: Host, account: Mapping[str, Any], uid: int) -> str:
    name = account["name"]
    daemons: Sequence[str] = [daemon for daemon in ("slurmdbd", "slurmctld") if daemon in host.roles]
    return (
        f"Either give the account its uid back, which the other hosts may have still: systemctl stop "
        f"{' '.join(reversed(daemons))}, then usermod -u {uid} {name}. Or give it all that is uid {uid}'s: "
        f"find / -xdev -uid {uid} -exec chown -h {name}: {{}} +. Then systemctl restart {' '.join(daemons)}."
    )


RULES = (
    Rule(
        "slurm-user-renumbered",
        "SlurmUser has another uid than its files",
        f"slurm.conf(5), SlurmUser; {JWT}",
        _renumbered,
        explains=(
            *("jwt-key-directory", "jwt-key-closed", "jwt-key-owner", "slurmdbd-conf-open", "state-unwritable"),
            *(*REFUSALS, "daemon-unreached", "cluster-not-registered"),
        ),
        fatals=rf"{KEY_FATALS}|key file is insecure|slurmdbd\.conf|(?i:permission denied|state save|unable to open)",
        preflight=True,
        by_hand="which of the two numbers the cluster's other hosts have is not seen here",
    ),
)
