"""Causes in slurm.conf and slurmdbd.conf as files: what they include, name and exclude."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..slurmrestd import listeners, spelling
from .model import Cluster, Host, Rule, Sign
from .remedies import everywhere, restart, start_again, without
from .rules_units import DOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_ALL_DOWN = ("slurmctld-failed", "slurmdbd-failed", *DOWN)
_BEHIND = ("daemon-unreached", "token-not-minted", "token-refused", "accounting-refused", "cluster-not-registered")
_READERS = {"slurm_conf": ("slurmctld", "slurmrestd"), "slurmdbd_conf": ("slurmdbd",)}
_MOST = 3
_ACCOUNTING_PORT = "AccountingStoragePort"


def _read(cluster: Cluster) -> Iterator[tuple[Host, str, list[str]]]:
    """Every configuration that a daemon of its host reads, and which do."""
    for host in cluster.hosts:
        for conf, daemons in _READERS.items():
            readers = [daemon for daemon in daemons if daemon in host.roles]
            if readers and host.facts[conf]["readable"]:
                yield host, conf, readers


def _restart(host: Host, daemons: list[str]) -> str:
    return start_again([host.service(daemon) for daemon in daemons])


def _include_missing(cluster: Cluster) -> Iterator[Sign]:
    for host, conf, daemons in _read(cluster):
        missing = host.facts[conf].get("missing_includes") or ()
        if missing:
            said = [
                text
                for daemon in daemons
                for text in host.said(daemon, r"retrying|cannot stat|unable to|s_p_parse")[:1]
            ]
            yield Sign(
                host.name,
                f"{host.facts[conf]['path']} includes what is not there, or not readable: a daemon waits for it a "
                "minute, listening nowhere, and ends.",
                [*(f"{path} is not there, or not readable" for path in missing[:_MOST]), *said],
                f"Put {', '.join(missing[:_MOST])} where the controller has it, or take the Include out; then "
                f"systemctl restart {' '.join(host.service(daemon) for daemon in daemons)}.",
            )


def _conf_missing(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.hosts:
        conf = host.facts["slurm_conf"]
        daemons = [daemon for daemon in _READERS["slurm_conf"] if daemon in host.roles]
        link = (host["files"].get(conf["path"]) or {}).get("dangling")
        if (conf["exists"] and not link) or not any(host.down(daemon) for daemon in daemons):
            continue
        yield Sign(
            host.name,
            f"There is no {conf['path']}" + (f": it is a link to {link}, which is not there." if link else "."),
            [f"{conf['path']} does not exist" if not link else f"{conf['path']} -> {link}: no such file"],
            f"Put {link or conf['path']} back, from a backup or another host of the cluster; then systemctl restart "
            f"{' '.join(host.service(daemon) for daemon in daemons)}.",
        )


_KEY_UNKNOWN = re.compile(r"Parsing error at unrecognized key: (\S+)")


def _unknown_keys(cluster: Cluster) -> Iterator[Sign]:
    """A key that this release does not have: the daemons name it, and no parser but theirs knows all keys."""
    for host, conf, daemons in _read(cluster):
        down = [daemon for daemon in daemons if host.down(daemon)]
        said = [text for daemon in down for text in host.said(daemon, _KEY_UNKNOWN.pattern, runs=1)]
        for key in dict.fromkeys(found[1] for found in map(_KEY_UNKNOWN.search, said) if found):
            entry = host.entry(conf, key)
            if entry is None:
                continue  # it was there, and is not any more
            yield Sign(
                host.name,
                f"{host.facts['version'] or 'This release'} knows no {key}, and its daemons end over it.",
                [f"{entry[1]}: {key}={entry[0]}", *said[:1]],
                f"{everywhere(cluster, host, conf, key, '')} takes the line out (a misspelt one: correct it); then "
                f"{_restart(host, down)}",
            )


def _not_understood(cluster: Cluster) -> Iterator[Sign]:
    for host, conf, daemons in _read(cluster):
        errors = list(host.facts[conf].get("errors") or ())
        if errors and any(host.down(daemon) for daemon in daemons):
            yield Sign(
                host.name,
                f"{host.facts[conf]['path']} has lines that are no Key=Value: Slurm ends over them.",
                [f"{where}: not understood" for where in errors[:_MOST]],
                f"Mend {', '.join(errors[:_MOST])}, then systemctl restart "
                f"{' '.join(host.service(one) for one in daemons)}.",
            )


def _plugin_directory(cluster: Cluster) -> Iterator[Sign]:
    for host, conf, _ in _read(cluster):
        there = host.evidence.get("plugin_directories") or {}
        entry = host.entry(conf, "PluginDir")
        gone = [path for path in (entry[0].split(":") if entry else ()) if there.get(path) is False]
        if gone:
            yield Sign(
                host.name,
                f"PluginDir names {', '.join(gone)}, which is not a directory of this host: no plugin is found there.",
                [host.line(conf, "PluginDir"), *(f"{path} does not exist" for path in gone)],
                f"{everywhere(cluster, host, conf, 'PluginDir', '')} takes the line out, for the directory that Slurm "
                "was "
                f"built with is the default; then {restart(cluster, *_READERS[conf])}",
            )


def _removed(cluster: Cluster) -> Iterator[Sign]:
    for host, conf, daemons in _read(cluster):
        content, release = host["confs"][conf], host.release
        for item in content["entries"] if content and release else ():
            gone = [name for name in item["value"].lower().replace(" ", "").split(",") if name in _gone(host)]
            if gone and release:
                yield Sign(
                    host.name,
                    f"Slurm {release.series} has no {', '.join(gone)} any more; scontrol still reads such a file, and "
                    "the daemon ends.",
                    [f"{item['origin']}: {item['name']}={item['value']}"],
                    f"{_left(item, gone)}, then {_restart(host, daemons)}; the same in every other copy of the file. "
                    "What "
                    f"takes its place is in slurm.conf(5), {item['name']}.",
                )


def _left(item: Mapping[str, Any], gone: Sequence[str]) -> str:
    """What is left of a list without some names; without any, the line goes and the default counts."""
    left = ",".join(name for name in item["value"].replace(" ", "").split(",") if name.lower() not in gone)
    path, _, number = item["origin"].rpartition(":")
    if not left:
        return without([item["origin"]])
    return f"`sed -i --follow-symlinks '{number}c {item['name']}={left}' {path}`"


def _gone(host: Host) -> frozenset[str]:
    release = host.release
    return frozenset(release.removed_plugins if release else ())


# --- ports -----------------------------------------------------------------------------------------------------------


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
        yield daemon, listeners.port_range(str(text)), where
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


def _accounting_port(cluster: Cluster) -> Iterator[Sign]:
    for dbd in cluster.role("slurmdbd"):
        conf = dbd.facts["slurmdbd_conf"]
        for host in cluster.hosts if conf["readable"] else ():
            slurm = host.facts["slurm_conf"]
            if not set(host.roles) & set(_READERS["slurm_conf"]) or not slurm["readable"] or not slurm["accounting"]:
                continue
            named = slurm["accounting_storage_host"] or "localhost"
            local = host.name == dbd.name and named in ("localhost", "127.0.0.1", "::1")
            if not local and named not in (dbd.name, *(conf.get("dbd_hosts") or [conf.get("dbd_host")])):
                continue  # another slurmdbd, or a name that does not show whose it is
            entry = host.entry("slurm_conf", _ACCOUNTING_PORT)
            asked, listens = (entry[0] if entry else "6819"), str(conf["dbd_port"])
            if asked != listens:
                yield Sign(
                    host.name,
                    f"slurmdbd listens on port {listens}, and slurm.conf of this host asks for it on {asked}.",
                    [f"{dbd.name}: {dbd.line('slurmdbd_conf', 'DbdPort')}", host.line("slurm_conf", _ACCOUNTING_PORT)],
                    f"{everywhere(cluster, host, 'slurm_conf', _ACCOUNTING_PORT, f'{_ACCOUNTING_PORT}={listens}')}, "
                    "and in every "
                    f"other copy of slurm.conf; then {restart(cluster, *_READERS['slurm_conf'])}",
                )


RULES = (
    Rule(
        "include-missing",
        "A file that the configuration includes is missing",
        "slurm.conf(5), INCLUDE",
        _include_missing,
        (*_ALL_DOWN, *_BEHIND, "not-listening", "listens-elsewhere", "listener-silent", "configuration-differs"),
        fatals=r"(?i)configuration|slurm\.conf|slurmdbd\.conf|s_p_parse|include|ClusterName|cannot stat|unable to",
        preflight=True,
        by_hand="what the missing file says is the site's",
    ),
    Rule(
        "slurm-conf-missing",
        "slurm.conf is not there",
        "slurm.conf(5), DESCRIPTION",
        _conf_missing,
        (*_ALL_DOWN, *_BEHIND, "slurmctld-skipped", "condition-failed", "not-listening", "configuration-differs"),
        fatals=r"(?i)configuration|slurm\.conf|s_p_parse|cannot stat|unable to|ClusterName",
        by_hand="what it said is the site's",
    ),
    Rule(
        "conf-key-unknown",
        "The configuration has a key that this release does not have",
        "slurm.conf(5); release notes",
        _unknown_keys,
        (*_ALL_DOWN, *_BEHIND, "not-listening", "configuration-differs"),
        fatals=r"(?i)configuration|pars",
    ),
    Rule(
        "conf-not-understood",
        "The configuration has lines that Slurm does not take",
        "slurm.conf(5), DESCRIPTION",
        _not_understood,
        (*_ALL_DOWN, *_BEHIND, "not-listening"),
        fatals=r"(?i)configuration|slurm\.conf|slurmdbd\.conf|pars",
        by_hand="what the lines were to say is not seen here",
    ),
    Rule(
        "plugin-dir-missing",
        "PluginDir does not exist",
        "slurm.conf(5), PluginDir",
        _plugin_directory,
        (*_ALL_DOWN, *_BEHIND, "jwt-plugin-missing", "plugin-unknown", "not-listening"),
        fatals=r"(?i)plugin|context",
        preflight=True,
    ),
    Rule(
        "plugin-removed",
        "The configuration has a value that this release does not have",
        "slurm.conf(5); release notes",
        _removed,
        (*_ALL_DOWN, *_BEHIND),
        fatals=r"(?i)plugin|context|invalid|unknown",
        preflight=True,
    ),
    Rule(
        "ports-collide",
        "Two daemons of Slurm are given one port",
        "slurm.conf(5), SlurmctldPort; slurmdbd.conf(5), DbdPort",
        _collisions,
        (*_ALL_DOWN, *_BEHIND, "port-taken", "listener-silent"),
        fatals=r"(?i)address already in use|already is listening|bind",
        preflight=True,
        by_hand="which ports are free, and pass the firewalls, is the site's to say",
    ),
    Rule(
        "accounting-port-differs",
        "slurmdbd is asked on another port than its own",
        "slurmdbd.conf(5), DbdPort; slurm.conf(5), AccountingStoragePort",
        _accounting_port,
        ("slurmctld-failed", *_BEHIND),
        fatals=r"(?i)slurmdbd|persistent connection|accounting_storage",
        preflight=True,
    ),
)
