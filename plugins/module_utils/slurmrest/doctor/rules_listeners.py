"""Causes in a listener itself: an address that is nobody's here, a socket whose file was removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .model import Cluster, Rule, Sign
from .remedies import DEPLOY
from .rules_units import DOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_HERE = (
    r"(?i)cannot assign requested address|name or service not known|temporary failure in name resolution"
    r"|unable to (?:resolve|parse).*(?:host|address)|getaddrinfo|bind"
)


def _not_here(cluster: Cluster) -> Iterator[Sign]:
    """What it is told to bind is a name that resolves to nothing, or an address of another host."""
    for host in cluster.rest:
        wrong = host.evidence.get("not_here") or {}
        serving = any(entry["program"] == "slurmrestd" for entry in host["listening"])
        if not wrong or (serving and not host.down("slurmrestd")):
            continue
        told = [entry for entry in host.unit["listeners"] if entry["text"] in wrong]
        there = {entry["text"] for entry in host.unit["listeners"]}
        yield Sign(
            host.name,
            "slurmrestd shall listen at an address that is none of this host, or at a name that does not resolve here.",
            [f"{entry['origin']}: {entry['text']}: {wrong[entry['text']]}" for entry in told],
            f"{DEPLOY} has it listen where the inventory says (slurmrestd_service_listen)."
            if host.expected and set(host.expected) != there
            else "Name an address of this host in slurmrestd_service_listen (ip address shows them), then "
            "playbooks/deploy.yml.",
        )


def _socket_removed(cluster: Cluster) -> Iterator[Sign]:
    """A daemon goes on listening at a socket whose file is gone, and nobody finds the way to it."""
    for host in cluster.rest:
        for entry in host["listening"]:
            facts = host["directories"].get(entry["path"]) or {}
            if entry["program"] == "slurmrestd" and facts.get("exists") and facts.get("socket") is False:
                yield Sign(
                    host.name,
                    f"slurmrestd listens at {entry['path']}, and that file was removed: no client finds it.",
                    [f"ss -lxp: {entry['path']}, process {entry['pid']}", f"{entry['path']} does not exist"],
                    f"`systemctl restart {host.rest_unit}`",
                )


RULES = (
    Rule(
        "listener-not-here",
        "slurmrestd is to listen at an address that this host does not have",
        "slurmrestd(8), [host]:port",
        _not_here,
        explains=(*DOWN, "listens-elsewhere", "not-listening", "listener-silent"),
        fatals=_NOT_HERE,
        by_hand="which address is meant is the site's to say",
    ),
    Rule(
        "socket-removed",
        "The socket's file was removed",
        "unix(7)",
        _socket_removed,
        explains=("listener-silent", "listens-elsewhere"),
    ),
)
