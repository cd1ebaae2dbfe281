"""Causes that only a cluster with several controllers can have: nobody in charge, a state that is not shared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..slurm.controllers import DEGRADED, NORMAL, TAKE_BACK, TAKE_BACK_SECONDS, TAKEOVER, Standing
from .model import Cluster, Host, Rule, Sign

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LAG_SECONDS = 30
"""Hosts are looked at one after the other, and their clocks are a bit apart."""


def standings(cluster: Cluster) -> Iterator[tuple[Host, Standing]]:
    """What each controller that was looked at says of who is in charge; nothing where there is only one."""
    for host in cluster.role("slurmctld"):
        seen = host.evidence.get("controllers")
        if seen:
            yield host, Standing.of(seen["standing"])


def in_charge(cluster: Cluster) -> Standing | None:
    """The standing of a cluster that works, by the first controller that sees it so."""
    return next((found for _host, found in standings(cluster) if found.kind in (DEGRADED, NORMAL)), None)


def meanwhile(cluster: Cluster, host: Host) -> tuple[str, str]:
    """What to add to cause and remedy of a controller that does not run: who is in charge, what its return costs."""
    found = in_charge(cluster)
    if found is None or not host.down("slurmctld") or found.leader == host.name:
        return "", ""
    cause = f" {found.leader} is in charge meanwhile, so that REST works."
    if host.name not in found.hosts or found.hosts.index(host.name) > found.hosts.index(found.leader):
        return cause, ""
    return cause, f" ({host.name} then takes the cluster back: for about {TAKE_BACK_SECONDS} s nothing is answered)"


def _nobody_in_charge(cluster: Cluster) -> Iterator[Sign]:
    for host, found in standings(cluster):
        if found.kind in (TAKEOVER, TAKE_BACK):
            yield Sign(
                host.name,
                f"No controller is in charge: {found}.",
                [f"heartbeat in {host['controllers']['state']}: of {found.leader}, {found.age:.0f} s old"],
                "Wait for its end, then look again; journalctl -u slurmctld on the controllers.",
            )
            return


def _silent(cluster: Cluster) -> Iterator[Sign]:
    """A controller whose slurmctld runs, and which another one does not get through to."""
    for host, found in standings(cluster):
        for other in cluster.role("slurmctld"):
            if found.kind == DEGRADED and other.name in found.silent and not other.down("slurmctld"):
                yield Sign(
                    other.name,
                    f"slurmctld runs on {other.name}, but {host.name} cannot connect to it: {found}.",
                    other.said("slurmctld", r"error|warning", runs=1)[:2],
                    f"journalctl -u slurmctld; ss -lntp on {other.name}; firewalls between both.",
                )


def _not_shared(cluster: Cluster) -> Iterator[Sign]:
    seen = [(host, host["controllers"]) for host, _found in standings(cluster)]
    if not seen:
        return
    best, reference = max(seen, key=lambda one: _written(one[1]))
    if not _written(reference):
        return
    for host, own in seen:
        lag = Standing.of(own["standing"]).timeout + _LAG_SECONDS
        if _written(reference) - _written(own) > lag and not _looked_too_early(host, best):
            told = "no heartbeat" if not _written(own) else f"one that is {_written(reference) - _written(own)} s older"
            yield Sign(
                host.name,
                f"{host.name} does not see the state that {best.name} writes, so it could not take over, or would with "
                "what it has itself: jobs would be lost.",
                [
                    f"{best.name}: {_place(reference)}: a heartbeat",
                    f"{host.name}: {_place(own)}: {told}",
                    *host.said("slurmctld", r"[Hh]eartbeat", runs=1)[:1],
                ],
                f"Have StateSaveLocation ({own['state']}) on a file system that all controllers mount; then systemctl "
                f"restart slurmctld on {host.name}.",
            )


def _looked_too_early(host: Host, best: Host) -> bool:
    """Whether the first heartbeat may have come after one look at this directory, and before the other."""
    own, reference = host["controllers"], best["controllers"]
    just_started = (best.facts.get("units") or {}).get("slurmctld", {}).get("starting", False)
    return bool(just_started and not _written(own) and own["inode"] == reference["inode"])


def _written(seen: Mapping[str, Any]) -> int:
    return seen["heartbeat"][1] if seen["heartbeat"] else 0


def _place(seen: Mapping[str, Any]) -> str:
    return f"{seen['state']} (inode {seen['inode']})" if seen["inode"] else f"{seen['state']} (not there)"


_HIGH_AVAILABILITY = "slurm.conf(5), SlurmctldHost, SlurmctldTimeout and StateSaveLocation"

RULES = (
    Rule(
        "state-not-shared",
        "The controllers do not share their state",
        _HIGH_AVAILABILITY,
        _not_shared,
        explains=("no-controller-in-charge", "controller-silent"),
        anywhere=True,
        preflight=True,
        by_hand="which file system controllers share is the site's",
    ),
    Rule(
        "no-controller-in-charge",
        "No controller is in charge",
        _HIGH_AVAILABILITY,
        _nobody_in_charge,
        explains=(
            *("daemon-unreached", "token-not-minted", "token-refused", "accounting-refused", "cluster-not-registered"),
            *("controller-silent", "request-fails"),
        ),
        anywhere=True,
        passing=True,
        preflight=True,
        by_hand="it passes",
    ),
    Rule(
        "controller-silent",
        "A controller cannot be connected to",
        _HIGH_AVAILABILITY,
        _silent,
        passing=True,
        by_hand="what is between two hosts shows on neither",
    ),
)
