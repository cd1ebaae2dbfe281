"""Causes in the ports of Slurm's daemons: given twice, asked for elsewhere, or somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError
from ..host.numbers import whole
from ..slurm.ports import port_range
from ..slurmrestd import spelling
from .holder import holder
from .model import CONFS, Cluster, Host, Rule, Sign
from .reaching import LOCAL
from .remedies import everywhere, restart
from .rules_conf import ALL_DOWN, READERS, SYMPTOMS_AT_REST

if TYPE_CHECKING:
    from collections.abc import Iterator

_ACCOUNTING_PORT = "AccountingStoragePort"


def _ports(host: Host) -> Iterator[tuple[str, range, str]]:
    """The ports that daemons of one host take, by name, with where that is said."""
    slurm, dbd = host.facts["slurm_conf"], host.facts["slurmdbd_conf"]
    if "slurmctld" in host.roles and slurm["readable"]:
        yield from _port("slurmctld", slurm["slurmctld_port"], host.line("slurm_conf", "SlurmctldPort"))
    if "slurmdbd" in host.roles and dbd["readable"]:
        yield from _port("slurmdbd", dbd["dbd_port"], host.line("slurmdbd_conf", "DbdPort"))
    if (host.facts.get("units") or {}).get("slurmd", {}).get("active") == "active" and slurm["readable"]:
        yield from _port("slurmd", slurm["slurmd_port"], host.line("slurm_conf", "SlurmdPort"))
    for entry in host.unit["listeners"] if "slurmrestd" in host.roles else ():
        listener = spelling.read(entry["text"])
        if listener and listener.kind == "tcp":
            yield "slurmrestd", range(listener.port, listener.port + 1), f"{entry['origin']}: {listener}"


def _port(daemon: str, text: str, where: str) -> Iterator[tuple[str, range, str]]:
    try:
        yield daemon, port_range(str(text)), where
    except InputError:
        return


def _collisions(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.hosts:
        taken = list(_ports(host))
        for number, (first, ports, where) in enumerate(taken):
            for second, others, also in taken[number + 1 :]:
                both = sorted(set(ports) & set(others))
                # Two listeners of slurmrestd, and slurmrestd within SlurmctldPort, have rules of their own.
                if not both or first == second or {first, second} == {"slurmctld", "slurmrestd"}:
                    continue
                yield Sign(
                    host.name,
                    f"{first} and {second} are both given port {both[0]}: the one that starts second ends.",
                    [where, also],
                    f"Give {second} another port, in every file that names it (SlurmctldPort, SlurmdPort and "
                    "AccountingStoragePort in slurm.conf, DbdPort in slurmdbd.conf, slurmrestd_service_listen), then "
                    "restart "
                    f"{host.service(first)} and {host.service(second)}.",
                )


def _number_of_port(text: str) -> bool:
    return 0 < (whole(text) or 0) < 65536


def _accounting_port(cluster: Cluster) -> Iterator[Sign]:
    for dbd in cluster.role("slurmdbd"):
        conf = dbd.facts["slurmdbd_conf"]
        for host in cluster.hosts if conf["readable"] else ():
            slurm = host.facts["slurm_conf"]
            if not set(host.roles) & set(READERS["slurm_conf"]) or not slurm["readable"] or not slurm["accounting"]:
                continue
            named = slurm["accounting_storage_host"] or "localhost"
            local = host.name == dbd.name and named in LOCAL
            if not local and named not in (dbd.name, *(conf.get("dbd_hosts") or [conf.get("dbd_host")])):
                continue  # another slurmdbd, or a name that does not show whose it is
            entry = host.entry("slurm_conf", _ACCOUNTING_PORT)
            asked, listens = (entry[0] if entry else "6819"), str(conf["dbd_port"])
            # slurmdbd.conf is SlurmUser's word, slurm.conf root's.
            if asked != listens and not _number_of_port(listens):
                yield Sign(
                    host.name,
                    f"DbdPort of slurmdbd.conf is no port, and slurm.conf of this host asks for slurmdbd on {asked}.",
                    [f"{dbd.name}: {dbd.line('slurmdbd_conf', 'DbdPort')}", host.line("slurm_conf", _ACCOUNTING_PORT)],
                    f"Give DbdPort the number {asked} in slurmdbd.conf, or both another one.",
                )
            elif asked != listens:
                yield Sign(
                    host.name,
                    f"slurmdbd.conf gives slurmdbd port {listens}, and slurm.conf of this host asks for it on {asked}.",
                    [f"{dbd.name}: {dbd.line('slurmdbd_conf', 'DbdPort')}", host.line("slurm_conf", _ACCOUNTING_PORT)],
                    f"{everywhere(cluster, host, 'slurm_conf', _ACCOUNTING_PORT, f'{_ACCOUNTING_PORT}={listens}')}, "
                    "and in every "
                    f"other copy of slurm.conf; then {restart(cluster, *READERS['slurm_conf'])}",
                )


def _taken(cluster: Cluster) -> Iterator[Sign]:
    """A port that slurmctld or slurmdbd is given, and that another program listens on."""
    for host in cluster.hosts:
        for daemon, ports, where in _ports(host):
            for entry in host.evidence.get("held") or () if daemon in CONFS else ():
                if entry["port"] not in ports or entry["program"] in (None, "slurmctld", "slurmdbd", "slurmd"):
                    continue
                program = holder(entry)
                running = "" if host.down(daemon) else f" {daemon} runs still, and would not start again."
                yield Sign(
                    host.name,
                    f"{program} has port {entry['port']}, which is {daemon}'s.{running}",
                    [f"{entry['host']}:{entry['port']} belongs to {program}, process {entry['pid']}", where],
                    "End that program, or give one of them another port in every file that names it; then systemctl "
                    f"restart {daemon}.",
                )


RULES = (
    Rule(
        "ports-collide",
        "Two daemons of Slurm are given one port",
        "slurm.conf(5), SlurmctldPort; slurmdbd.conf(5), DbdPort",
        _collisions,
        explains=(*ALL_DOWN, *SYMPTOMS_AT_REST, "port-taken", "listener-silent"),
        fatals=r"(?i)address already in use|already is listening|bind",
        preflight=True,
        by_hand="which ports are free, and pass the firewalls, is the site's to say",
    ),
    Rule(
        "daemon-port-taken",
        "Another program has the port of slurmctld or slurmdbd",
        "slurm.conf(5), SlurmctldPort; slurmdbd.conf(5), DbdPort",
        _taken,
        explains=("slurmctld-failed", "slurmdbd-failed", "accounting-port-differs", *SYMPTOMS_AT_REST),
        fatals=r"(?i)address already in use|bind",
        preflight=True,
        by_hand="what the other program is for is not seen here",
    ),
    Rule(
        "accounting-port-differs",
        "slurmdbd is asked on another port than its own",
        "slurmdbd.conf(5), DbdPort; slurm.conf(5), AccountingStoragePort",
        _accounting_port,
        explains=("slurmctld-failed", *SYMPTOMS_AT_REST),
        fatals=r"(?i)slurmdbd|persistent connection|accounting_storage",
        preflight=True,
        by_hand="a DbdPort that is no port is SlurmUser's to correct",
    ),
)
