"""Causes in munge, by which Slurm's daemons know each other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .model import Cluster, Host, Rule, Sign
from .munge import KEY
from .remedies import begin, everywhere, given, join, start_again

if TYPE_CHECKING:
    from collections.abc import Iterator

IN_ORDER = ("slurmdbd", "slurmctld", "slurmd", "slurmrestd")
"""The daemons of Slurm as they are started one after the other."""

_MUNGE_KEY = re.compile(r'(?i)keyfile is insecure: "?(/[\w./-]+)')


def _munge(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.hosts:
        seen = host["munge"]
        if seen["used"] and not seen["works"] and {"slurmctld", "slurmdbd"} & set(host.roles):
            yield _socket_elsewhere(cluster, host) if seen.get("socket") and seen.get("own") else _no_credentials(host)


def _socket_elsewhere(cluster: Cluster, host: Host) -> Sign:
    value, _ = host.entry("slurm_conf", "AuthInfo") or ("", "")
    left = ",".join(item for item in value.split(",") if not item.strip().lower().startswith("socket"))
    line = f"AuthInfo={left}" if left else ""
    return Sign(
        host.name,
        "AuthInfo names a socket at which no munge answers; at its own it does.",
        [host.line("slurm_conf", "AuthInfo"), f"munge: {host['munge']['error']}"],
        f"{everywhere(cluster, host, 'slurm_conf', 'AuthInfo', line)}; then {start_again(_running_order(host))}",
    )


def _running_order(host: Host) -> list[str]:
    return [host.service(daemon) for daemon in IN_ORDER if daemon in host.roles]


def _no_credentials(host: Host) -> Sign:
    said = host.said("munge", _MUNGE_KEY.pattern, runs=1) if host.down("munge") else []
    key = _MUNGE_KEY.search(said[0]) if said else None
    # What munge's account says is its word alone: it could name any file for root to give to it.
    mended = f"`{given(KEY, 'munge', '0400')}`" if key and key[1] == KEY else ""
    return Sign(
        host.name,
        "Slurm's daemons know each other by munge, and munge makes no credentials here"
        + (": its key is open to others, or another account's." if key else "."),
        [f"munge: {host['munge']['error']}", f"systemctl is-active munge: {host.state('munge')}", *said[:1]],
        join((mended, begin(host, "munge", again=True), start_again(ended(host)))),
    )


def ended(host: Host) -> list[str]:
    """What of Slurm has ended here meanwhile, in the order in which it starts."""
    return [host.service(daemon) for daemon in IN_ORDER if daemon in host.roles and host.down(daemon)]


def _keys_differ(cluster: Cluster) -> Iterator[Sign]:
    """The controller's counts; a host without munge has none, and need not where it has no daemon but slurmrestd."""
    seen = [(host, host["munge"].get("key")) for host in [*cluster.role("slurmctld"), *cluster.hosts]]
    having = [(host, key) for host, key in seen if key and host["munge"]["used"]]
    if not having:
        return
    first, ours = having[0]
    for host, key in {other.name: (other, key) for other, key in having}.values():
        if key != ours:
            daemons = [host.service(daemon) for daemon in IN_ORDER if daemon in host.roles]
            yield Sign(
                host.name,
                f"munge's key on {host.name} is another than on {first.name}: Slurm's daemons refuse each other.",
                [
                    f"{first.name} and {host.name}: {KEY} differs",
                    *(text for daemon in ("slurmctld", "slurmdbd") for text in host.said(daemon, _REFUSED, runs=1)[:1]),
                ],
                f"Copy {KEY} from {first.name} to {host.name} (owner munge, mode 0400), then there systemctl restart "
                f"munge {' '.join(daemons)}.",
            )


_REFUSED = r"(?i)munge|authentication|credential"
_SYMPTOMS_WITHOUT_MUNGE = (
    *("no-controller-in-charge", "daemon-unreached", "token-not-minted", "token-refused", "accounting-refused"),
    "cluster-not-registered",
)

RULES = (
    Rule(
        "munge-keys-differ",
        "The hosts have different keys of munge",
        "authentication.html, MUNGE; munged(8)",
        _keys_differ,
        explains=(*_SYMPTOMS_WITHOUT_MUNGE, "slurmctld-failed", "slurmdbd-failed"),
        fatals=r"(?i)munge|credential|authentication",
        anywhere=True,
        preflight=True,
        by_hand="a secret is copied by whoever may have it",
    ),
    Rule(
        "munge-stopped",
        "munge does not work",
        "authentication.html, MUNGE",
        _munge,
        explains=(*_SYMPTOMS_WITHOUT_MUNGE, "slurmctld-failed", "slurmdbd-failed", "plugin-fails"),
        fatals=r"(?i)munge|credential",
        preflight=True,
    ),
)
