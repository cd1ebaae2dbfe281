"""Causes between the daemons: what slurm.conf names and cannot be reached, and a database that is up and of no use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .model import CONFS, Cluster, Host, Rule, Sign
from .reaching import LOCAL
from .remedies import everywhere, join, on, restart

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NAMES = {"slurmctld": "SlurmctldHost", "slurmdbd": "AccountingStorageHost"}
_PORTS = {"slurmctld": "SlurmctldPort", "slurmdbd": "AccountingStoragePort"}
RECENT_SECONDS = 300.0
"""A slurmdbd that cannot use its database says so again within less."""


def _unreached(cluster: Cluster) -> Iterator[Sign]:
    """None of the hosts that slurm.conf of a REST host names for a daemon takes a connection from there."""
    for host in cluster.rest:
        for daemon, key in _NAMES.items():
            tried = [entry for entry in host.evidence.get("reach") or () if entry["daemon"] == daemon]
            there = cluster.role(daemon)
            if not tried or not all(entry["error"] for entry in tried):
                yield from _mute(host, tried)
                continue
            if cluster.preflight and not any(not other.down(daemon) for other in there):
                continue  # a deployment starts it
            apart = [other.name for other in there if other.name != host.name]
            here = any(entry["host"] in LOCAL for entry in tried) and apart and daemon not in host.roles
            entry = tried[0]
            older = [other for other in there if _older_than_conf(other, daemon)]
            if older and entry["addresses"] and not here:
                yield Sign(
                    host.name,
                    f"{daemon} on {', '.join(other.name for other in older)} runs since before its configuration was "
                    f"changed, and does not listen at {entry['host']}, port {entry['port']}, yet.",
                    [*map(_tried, tried), *(_ages(other, daemon) for other in older)],
                    join(on([other.name], f"systemctl restart {daemon}") for other in older),
                )
                continue
            yield Sign(
                host.name,
                f"{key} of this host means the host itself, and {daemon} is on {', '.join(apart)}."
                if here
                else f"From this host {daemon} cannot be reached where slurm.conf names it: {entry['host']}, port "
                f"{entry['port']}: {entry['error']}.",
                [*map(_tried, tried), host.line("slurm_conf", key), host.line("slurm_conf", _PORTS[daemon])],
                f"{everywhere(cluster, host, 'slurm_conf', key, f'{key}={apart[0]}')}, and in every other copy of "
                "slurm.conf; "
                f"then {restart(cluster, 'slurmctld', 'slurmrestd')}"
                if here and apart
                else _remedy(host, there, daemon, entry),
            )


def _older_than_conf(host: Host, daemon: str) -> bool:
    process, file = host["processes"].get(daemon), host["files"].get(host.facts[CONFS[daemon]]["path"]) or {}
    return bool(process and "age" in file and file["age"] < process["age"])


def _ages(host: Host, daemon: str) -> str:
    path = host.facts[CONFS[daemon]]["path"]
    changed, runs = host["files"][path]["age"], host["processes"][daemon]["age"]
    return f"{host.name}: {path} was changed {changed:.0f} s ago, {daemon} runs for {runs:.0f} s"


def _mute(host: Host, tried: Sequence[Mapping[str, Any]]) -> Iterator[Sign]:
    """A port of slurmctld's that takes connections and does not answer as this release does without being asked who."""
    taken = [entry for entry in tried if not entry["error"]]
    good = (host.http.get("diag") or {}).get("good")
    if good or not taken or not all("answer" in entry and entry["answer"] is None for entry in taken):
        return
    entry = taken[0]
    yield Sign(
        host.name,
        f"What listens at {entry['host']}, port {entry['port']}, takes connections and does not answer as slurmctld "
        "of this release does: slurmctld hangs there, or it is another program.",
        [
            f"GET http://{entry['host']}:{entry['port']}/healthz: no answer (slurmctld says 204, without a token)",
            host.line("slurm_conf", _NAMES["slurmctld"]),
            host.line("slurm_conf", _PORTS["slurmctld"]),
        ],
        f"On {entry['host']}: ss -lntp shows who listens on port {entry['port']}, journalctl -u slurmctld what it "
        "says.",
    )


def _tried(entry: Mapping[str, Any]) -> str:
    addresses = ", ".join(entry["addresses"]) or "no address"
    return f"connect to {entry['host']} ({addresses}), port {entry['port']}: {entry['error']}"


def _remedy(host: Host, there: Sequence[Host], daemon: str, entry: Mapping[str, Any]) -> str:
    where = ", ".join(other.name for other in there) or "its host"
    if not entry["addresses"]:
        return (
            f"Make {entry['host']} known on {host.name} (DNS or /etc/hosts); getent hosts {entry['host']} shows it. "
            f"Where the name is wrong, correct it ({host.line('slurm_conf', _NAMES[daemon])}) and restart what read it."
        )
    return (
        f"On {where}: ss -lntp shows on which address and port {daemon} listens; getent hosts {entry['host']} on "
        f"{host.name} and there shows whether both mean one host; no firewall between may drop port {entry['port']}."
    )


_UNREACHED = r"(?i)can't connect to|unknown \S* ?server host"
_OF_UNREACHED = (
    "slurmdbd does not reach its database.",
    (
        "See StorageHost and StoragePort in slurmdbd.conf, and whether the database runs and listens there; then "
        "systemctl restart slurmdbd"
    ),
)
_UNUSABLE = (
    (
        r"Access denied",
        "The database refuses the login of slurmdbd.",
        (
            "Compare StorageUser and StoragePass in slurmdbd.conf with the database's user, or grant it anew (GRANT "
            "ALL on the database that StorageLoc names); then systemctl restart slurmdbd"
        ),
    ),
    (
        r"(?i)newer version of Slurm|schema is too new",
        "The database was converted by a newer slurmdbd than this one, which cannot use it.",
        (
            "Install the newer slurmdbd again, or restore a dump of the database from before its conversion; then "
            "systemctl restart slurmdbd"
        ),
    ),
    (
        r"(?i)max_user_connections|too many connections",
        "The database gives slurmdbd too few connections.",
        (
            "Raise max_connections of the database, or MAX_USER_CONNECTIONS of slurmdbd's user; then systemctl restart "
            "slurmdbd"
        ),
    ),
    (
        r"command denied to user",
        "The database lets slurmdbd in, and does not let it do what it has to.",
        ("GRANT ALL on its database (StorageLoc) to slurmdbd's user; then systemctl restart slurmdbd"),
    ),
    (
        r"(?i)read[-_ ]only",
        "The database is read-only, and slurmdbd has to write.",
        (
            "SHOW VARIABLES LIKE 'read_only' in the database; SET GLOBAL read_only=OFF where it is the primary, or "
            "point StorageHost to the primary; then systemctl restart slurmdbd"
        ),
    ),
    (
        r"(?i)table '\S+' doesn't exist|\b1146\b|Problem getting jobs for cluster",
        "slurmdbd asks its database in vain: a table of a cluster was renamed or dropped, or not restored.",
        "Rename it back, or restore the last dump of the database (StorageLoc); then systemctl restart slurmdbd",
    ),
    (_UNREACHED, *_OF_UNREACHED),
    (
        r"(?i)\bconver(?:t|sion)",
        "slurmdbd is converting its database after an upgrade, and answers nobody until it is done.",
        "Wait, and do not stop it: journalctl -f -u slurmdbd says when conversion is done.",
    ),
)


_OF_DATABASE = r"(?i)mysql|database|conver|problem getting jobs"


def _storage_unheard(host: Host) -> list[str]:
    """Why no database that slurmdbd.conf names is reached from slurmdbd's host, where it does not serve either.

    Older releases ask for the name before they listen or say a word.
    """
    tried = host.evidence.get("storage") or ()
    serves = any(entry["program"] == "slurmdbd" for entry in host.evidence.get("held") or ())
    if serves or not tried or not all(entry["error"] for entry in tried):
        return []
    return [*map(_tried, tried), host.line("slurmdbd_conf", "StorageHost")]


def _unusable(cluster: Cluster) -> Iterator[Sign]:
    asked = [rest.http["clusters"] for rest in cluster.rest if rest.http.get("clusters")]
    bad = any(answer["good"] is False for answer in asked)
    for host in cluster.role("slurmdbd"):
        lines = [line for line in host.journal("slurmdbd") if line["run"] == 0]
        last = next((line for line in reversed(lines) if re.search(_OF_DATABASE, line["text"])), None)
        down = host.down("slurmdbd")
        near = host.ended("slurmdbd") if down else []  # which may be in its log alone
        if last and (bad or down or last["age"] < RECENT_SECONDS):
            near = [line["text"] for line in lines if line["age"] < last["age"] + RECENT_SECONDS] + near
        for pattern, cause, remedy in _UNUSABLE:
            if pattern == _UNREACHED and asked and not (bad or down):
                continue  # a good answer comes from the database: it is reached again
            found = [text for text in near if re.search(pattern, text)]
            if found and not re.search(r"(?i)conversion done", near[-1]):
                yield Sign(host.name, cause, [f"journal of slurmdbd: {found[-1]}"], remedy)
                break
        else:
            unheard = _storage_unheard(host)
            if unheard:
                cause, remedy = _OF_UNREACHED
                yield Sign(host.name, cause, unheard, remedy)


NOT_LOOKED_UP = 4294967294
"""NO_VAL, which slurmctld has for the uid of a user whom the host did not know when the association was made."""


def _not_looked_up(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.role("slurmctld"):
        for user, uid in (host.evidence.get("slurm_users") or {}).items():
            known = host["users"].get(user) or {"exists": False}
            if uid == NOT_LOOKED_UP and known["exists"]:
                yield Sign(
                    host.name,
                    f"{host.name} knows the user {user}, and the running slurmctld does not yet: the association was "
                    "made before the account.",
                    [f"scontrol show assoc_mgr: UserName={user}({uid})", f"getent passwd {user}: uid {known['uid']}"],
                    "`scontrol reconfigure`",
                )


_SYMPTOMS_UNREACHED = ("token-refused", "accounting-refused", "cluster-not-registered", "token-not-minted")

RULES = (
    Rule(
        "daemon-unreached",
        "What slurm.conf names cannot be reached from the REST host",
        "slurm.conf(5), SlurmctldHost, AccountingStorageHost; network.html",
        _unreached,
        explains=_SYMPTOMS_UNREACHED,
        anywhere=True,
        passing=True,
        preflight=True,
        by_hand="which of the two places is right, and what is between them, is the site's to say",
    ),
    Rule(
        "user-not-looked-up",
        "slurmctld has not looked the user up yet",
        "scontrol(1), show assoc_mgr, reconfigure",
        _not_looked_up,
        explains=("request-token-wrong", "request-fails"),
        anywhere=True,
    ),
    Rule(
        "database-unusable",
        "The database is of no use to slurmdbd",
        "accounting.html, MySQL Configuration; upgrades.html",
        _unusable,
        explains=(
            "slurmdbd-failed",
            "plugin-fails",
            "daemon-unreached",
            "slurmdbd-not-listening",
            *_SYMPTOMS_UNREACHED,
        ),
        fatals=r"(?i)mysql|mariadb|database|storage|access denied",
        by_hand="whether the database or slurmdbd.conf is right is the site's to say",
    ),
)
