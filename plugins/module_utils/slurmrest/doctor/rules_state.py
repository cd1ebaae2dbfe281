"""Causes in what a daemon must find on its host: a private slurmdbd.conf, a place for its state."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from .model import Cluster, Host, Rule, Sign
from .remedies import given, start_again, state_mark, word
from .rules_units import DOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PRIVATE = "0600"
_SYMPTOMS_AT_REST = ("daemon-unreached", "accounting-refused", "cluster-not-registered", "token-refused")


def _dbd_conf(cluster: Cluster) -> Iterator[Sign]:
    """It holds the database's password: slurmdbd takes no other owner and no other mode."""
    for host in cluster.role("slurmdbd"):
        conf = host.facts["slurmdbd_conf"]
        file = host["files"].get(conf["path"]) or {}
        owner = conf["slurm_user"]
        if not file.get("exists") or not owner or (file["owner"], file["mode"]) == (owner, _PRIVATE):
            continue
        again = f", then {start_again(['slurmdbd'])}" if host.down("slurmdbd") else ""
        yield Sign(
            host.name,
            f"slurmdbd starts only where its configuration belongs to its SlurmUser ({owner}) and has mode {_PRIVATE}."
            + ("" if again else " It runs still, and would not start again."),
            [
                f"{conf['path']}: owner {file['owner']}:{file['group']}, mode {file['mode']}",
                *host.said("slurmdbd", r"slurmdbd\.conf", runs=1)[:1],
            ],
            f"`{given(conf['path'], owner, _PRIVATE)}`{again}",
        )


def _state(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.role("slurmctld"):
        state = host.evidence.get("state") or {"writable": True}
        if state["writable"] is not False:
            continue
        path, user = state["path"], host.facts["slurm_conf"]["slurm_user"]
        seen = f"owner {state['owner']}:{state['group']}, mode {state['mode']}" if state["exists"] else "does not exist"
        made = f"mkdir -p {word(path)}; " if not state["exists"] else ""
        again = f", then {start_again(['slurmctld'])}" if host.down("slurmctld") else ""
        yield Sign(
            host.name,
            f"{user} may not write where slurmctld keeps its state: nothing is saved, and it does not start.",
            [
                f"{path}: {seen}",
                host.line("slurm_conf", "StateSaveLocation"),
                *host.said("slurmctld", r"(?i)permission denied|state save", runs=1)[:1],
            ],
            f"`{made}{given(path, user, '0700')}`{again}",
        )


_LACKING = r"No [\w ]+ file \((/[^)]+)\) to recover"  # src/slurmctld/*_mgr.c, src/common/assoc_mgr.c
_HELD = {
    "job_state": "all jobs (nodes kill what runs of them)",
    "node_state": "what was changed of nodes with scontrol",
    "resv_state": "reservations",
    "trigger_state": "triggers of strigger",
    "fed_mgr_state": "the state of a federation",
    "assoc_usage": "fair-share usage since slurmctld last saved it",
}


def _lacking(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.role("slurmctld"):
        ended = "\n".join(host.ended("slurmctld")) if host.down("slurmctld") else ""
        found = re.search(_LACKING, ended)
        if not found:
            continue
        path = found[1]
        lost = _HELD.get(posixpath.basename(path), "what it held")
        mark = word(state_mark(host))
        again = start_again(["slurmctld"])
        anew = f"`rm {mark}`, then {again}: slurmctld takes what is there, and what that file held is lost: {lost}."
        several = len(cluster.role("slurmctld")) > 1
        yield Sign(
            host.name,
            f"slurmctld did not find a file of its state, {path}, without which this release does not start. "
            + ("A backup that gives the cluster back may have been writing it just then. " if several else "")
            + "Otherwise it was removed, or slurmctld was killed before it saved its state the first time, which takes "
            "five minutes.",
            [*host.words("slurmctld"), host.line("slurm_conf", "StateSaveLocation")],
            f"{again}: the file may be there by now. Where it says so again, and nobody has a copy: {anew}"
            if several
            else f"Where a copy of {path} is kept, put it back. Otherwise {anew}",
        )


_COMMANDS_READ = "/etc/slurm/slurm.conf"


def _redirected(cluster: Cluster) -> Iterator[Sign]:
    """A variable sends slurmctld or slurmdbd to another file than commands and the other daemons read.

    Of several clusters on a host each has its own and works, so that only trouble makes it a cause.
    """
    trouble = any(
        host.evidence.get("token_refused") or (host.http.get("clusters") or {"good": True})["good"] is False
        for host in cluster.rest
    )
    for host, daemon in cluster.each("slurmctld", "slurmdbd") if trouble else ():
        process = host["processes"].get(daemon) or {}
        running = (process.get("environment") or {}).get("SLURM_CONF", "")
        path = running or (host["units"].get(daemon) or {}).get("slurm_conf") or ""
        if not path or path in (_COMMANDS_READ, host.unit["environment"].get("SLURM_CONF")):
            continue
        where = ", ".join(host["units"][daemon].get("dropins") or ()) or host["units"][daemon].get("fragment")
        seen = f"process {process['pid']} of {daemon}" if running else f"systemctl show {daemon}: Environment"
        yield Sign(
            host.name,
            f"A variable sends {daemon} to {path}; commands and the other daemons read {_COMMANDS_READ}.",
            [f"{seen}: SLURM_CONF={path}", f"its unit: {where}"],
            f"Take SLURM_CONF out of {where} (systemctl cat {daemon} shows it), or give it to the others too; then "
            f"systemctl daemon-reload and systemctl restart {daemon}.",
        )


_LOOKED_UP = r"Invalid user for SlurmUser|SlurmUser|Unable to process configuration"


def _user(cluster: Cluster) -> Iterator[Sign]:
    """An account that the configuration of a host names, and the host does not have."""
    for host in cluster.hosts:
        account = host.facts["slurm_user"]
        daemons = [name for name in ("slurmctld", "slurmdbd", "slurmrestd") if name in host.roles]
        if not account or account["exists"] or not daemons:
            continue
        if daemons == ["slurmrestd"] and not host.facts["slurmrestd"]["path"]:
            continue  # a package that is still to come makes it
        said = [text for daemon in daemons for text in host.said(daemon, _LOOKED_UP, runs=1)[:1]]
        yield Sign(
            host.name,
            f"The configuration names the SlurmUser {account['name']}, and this host has no such account: every daemon "
            "of Slurm looks it up, and ends.",
            [
                host.line("slurm_conf", "SlurmUser"),
                f"there is no account {account['name']} on this host",
                *said[:1],
            ],
            _account_of_controllers(cluster, host, daemons),
        )


def _account_of_controllers(cluster: Cluster, host: Host, daemons: Sequence[str]) -> str:
    """Make it with the uid that it has elsewhere; without one nobody can tell whether it is the name that is wrong."""
    name = host.facts["slurm_user"]["name"]
    others = [other.facts["slurm_user"] or {} for other in cluster.hosts]
    uid = next((other["uid"] for other in others if other.get("name") == name and other["exists"]), None)
    if uid is None:
        return (
            f"Correct SlurmUser in {host.facts['slurm_conf']['path']} where {name} is misspelt, or make "
            "that account with one uid on all hosts; then systemctl restart the daemons."
        )
    return (
        f"Make it with the uid that it has elsewhere: `useradd --system --uid {uid} --no-create-home "
        f"--home-dir /nonexistent --shell /usr/sbin/nologin {word(name)}`, then "
        f"{start_again([host.service(daemon) for daemon in daemons])}"
    )


RULES = (
    Rule(
        "slurm-user-missing",
        "SlurmUser does not exist",
        "slurm.conf(5), SlurmUser",
        _user,
        explains=(
            *("slurmctld-failed", "slurmdbd-failed", *DOWN, "token-not-minted", *_SYMPTOMS_AT_REST),
            *("listens-elsewhere", "not-listening", "foreign-dropin", "state-unwritable", "slurmdbd-conf-open"),
            *("jwt-key-owner", "munge-stopped"),
        ),
        fatals=_LOOKED_UP,
        preflight=True,
        by_hand="whether the name is right is the site's to say",
    ),
    Rule(
        "daemon-redirected",
        "A variable sends slurmctld or slurmdbd to another configuration",
        "slurm.conf(5), DESCRIPTION; systemd.exec(5), Environment=",
        _redirected,
        explains=(
            "slurmctld-failed",
            "slurmdbd-failed",
            "token-not-minted",
            "slurm-conf-missing",
            *_SYMPTOMS_AT_REST,
        ),
        fatals=r"(?i)slurm\.conf|slurmdbd\.conf|configuration|cannot stat|no such file|specified|MISMATCH|jwt|key",
        by_hand="which of the two files is meant is the site's to say",
        anywhere=True,
    ),
    Rule(
        "slurmdbd-conf-open",
        "slurmdbd.conf has another owner or mode than slurmdbd demands",
        "slurmdbd.conf(5), DESCRIPTION",
        _dbd_conf,
        explains=("slurmdbd-failed", *_SYMPTOMS_AT_REST),
        fatals=r"slurmdbd\.conf",
        preflight=True,
    ),
    Rule(
        "state-unwritable",
        "slurmctld may not write its state",
        "slurm.conf(5), StateSaveLocation",
        _state,
        explains=("slurmctld-failed", "token-not-minted", *_SYMPTOMS_AT_REST),
        fatals=r"(?i)permission denied|state save|save location|unable to (?:create|open)|mkdir",
        preflight=True,
    ),
    Rule(
        "state-file-missing",
        "A file of slurmctld's state is missing",
        "slurm.conf(5), StateSaveLocation; slurmctld(8), -i",
        _lacking,
        explains=("slurmctld-failed", "token-not-minted", *_SYMPTOMS_AT_REST),
        fatals=_LACKING,
    ),
)
