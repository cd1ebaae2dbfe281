"""Causes in the database of slurmdbd on its own host: it does not run, does not start, or holds slurmdbd up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError
from ..slurm.ports import port_range
from .model import Cluster, Host, Rule, Sign
from .reaching import LOCAL
from .remedies import begin, join, start_again
from .rules_munge import ended
from .unit_states import DATABASES

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAID = r"^(?!.*settings not recommended).*(?:mysql|MySQL|database|Database)"


def _database(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.role("slurmdbd"):
        units = [name for name in DATABASES if name in host["units"]]
        if units and not any(host.state(name) == "running" for name in units) and _is_local(host):
            broken = next((name for name in units if host.state(name) in ("failed", "looping")), "")
            yield _does_not_start(host, broken) if broken else _stopped(host, units[0])


def _is_local(host: Host) -> bool:
    entry = host.entry("slurmdbd_conf", "StorageHost")
    return entry is None or entry[0] in (*LOCAL, host.name)


def _stopped(host: Host, unit: str) -> Sign:
    return Sign(
        host.name,
        f"{unit}, where slurmdbd keeps everything, does not run.",
        [_active(host, unit), *host.said("slurmdbd", _SAID, runs=1)[:1]],
        join((begin(host, unit), start_again(ended(host)))),
    )


def _does_not_start(host: Host, unit: str) -> Sign:
    """Its own errors say why; the first one is the cause, the others come of it."""
    said = host.said(unit, r"\[ERROR\]", runs=1)[::-1] or host.said(unit, r"\[ERROR\]|(?i:error|fail)")
    again = " ".join(ended(host))
    return Sign(
        host.name,
        f"{unit}, where slurmdbd keeps everything, does not start: it ends with what it says.",
        [_active(host, unit), *said[:3]],
        f"See why it does not start: journalctl -u {unit}; mend that, then systemctl reset-failed {unit} and systemctl "
        f"start {unit}" + (f", then systemctl restart {again}." if again else "."),
    )


def _active(host: Host, unit: str) -> str:
    return f"systemctl is-active {unit}: {host['units'][unit]['active']}"


def _mute(cluster: Cluster) -> Iterator[Sign]:
    """Nothing listens on slurmdbd's port, and it runs: it first asks its database, which has not answered."""
    bad = any(_misses(rest) for rest in cluster.rest)
    for host in cluster.role("slurmdbd") if bad else ():
        process, held, conf = host["processes"].get("slurmdbd"), host.evidence.get("held"), host.facts["slurmdbd_conf"]
        if not process or held is None or host.down("slurmdbd") or process.get("network_apart") or _is_older(host):
            continue
        try:
            ports = port_range(str(conf["dbd_port"]))
        except InputError:
            continue
        if process.get("halted") or any(entry["port"] in ports for entry in held):
            continue
        yield Sign(
            host.name,
            "slurmdbd runs and does not listen yet: it waits for its database, where a lock (a backup's, say) or a "
            "long change holds it up.",
            [
                f"nothing listens on port {ports[0]}; process {process['pid']} is {process['age']:.0f} s old",
                *host.said("slurmdbd", _SAID, runs=1)[:1],
            ],
            "mariadb -e 'show full processlist' in the database shows for what; once that is over, or ended (KILL), "
            "slurmdbd goes on by itself.",
        )


def _misses(rest: Host) -> bool:
    """Whether a REST host misses slurmdbd."""
    tried = [entry for entry in rest.evidence.get("reach") or () if entry["daemon"] == "slurmdbd"]
    answer = rest.http.get("clusters")
    return any(entry["error"] for entry in tried) or bool(answer and not answer["good"])


def _is_older(host: Host) -> bool:
    """Whether it listens where its configuration had it before, as far as anybody can tell."""
    process, file = host["processes"]["slurmdbd"], host["files"].get(host.facts["slurmdbd_conf"]["path"]) or {}
    return "age" in file and bool(file["age"] < process["age"])


SYMPTOMS_WITHOUT_SLURMDBD = (
    *("daemon-unreached", "accounting-refused", "cluster-not-registered", "token-refused", "token-not-minted"),
)

RULES = (
    Rule(
        "database-stopped",
        "The accounting database is down",
        "accounting.html, MySQL Configuration",
        _database,
        explains=(
            *SYMPTOMS_WITHOUT_SLURMDBD,
            *("slurmdbd-failed", "database-unusable", "plugin-fails", "slurmdbd-not-listening"),
        ),
        fatals=r"(?i)mysql|mariadb|database|storage",
        by_hand="why the database does not start is in its own words",
    ),
    Rule(
        "slurmdbd-not-listening",
        "slurmdbd runs, and does not listen yet",
        "accounting.html, MySQL Configuration; slurmdbd(8)",
        _mute,
        explains=SYMPTOMS_WITHOUT_SLURMDBD,
        anywhere=True,
        passing=True,
        by_hand="what holds the database up is the site's to end",
    ),
)
