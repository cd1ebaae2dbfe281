"""Causes in slurm.conf and slurmdbd.conf as files: what they include, name and exclude."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

from ..slurm import plugin_kinds
from .model import Cluster, Host, Rule, Sign
from .remedies import WHOSE, everywhere, opened, restart, start_again, without, word
from .rules_units import DOWN, STARTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ALL_DOWN = ("slurmctld-failed", "slurmdbd-failed", *DOWN)
SYMPTOMS_AT_REST = (
    "daemon-unreached",
    "token-not-minted",
    "token-refused",
    "accounting-refused",
    "cluster-not-registered",
)
READERS = {"slurm_conf": ("slurmctld", "slurmrestd"), "slurmdbd_conf": ("slurmdbd",)}
_MOST = 3


def _read(cluster: Cluster) -> Iterator[tuple[Host, str, list[str]]]:
    """Every configuration that a daemon of its host reads, and which do."""
    for host in cluster.hosts:
        for conf, daemons in READERS.items():
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


_WAITS = re.compile(r"cannot stat file (/[\w./-]+).*retrying")


def _beside_missing(cluster: Cluster) -> Iterator[Sign]:
    """A file beside slurm.conf that a value of it calls for, as topology.conf: the daemon waits for it, and says so."""
    for host in cluster.role("slurmctld"):
        conf = host.facts["slurm_conf"]
        known = {conf["path"], host.facts["slurmdbd_conf"]["path"], *(conf.get("missing_includes") or ())}
        near = [line for line in host.journal("slurmctld") if line["run"] == 0 and line["age"] < _WAITED_SECONDS]
        found = [(line["text"], match[1]) for line in near for match in [_WAITS.search(line["text"])] if match]
        trouble = host.down("slurmctld") or any(rest.evidence.get("token_refused") for rest in cluster.rest)
        for text, path in found[-1:] if trouble else ():
            key = _CALLS_FOR.get(posixpath.basename(path))
            if path not in known:
                yield Sign(
                    host.name,
                    f"slurmctld waits for {path}, which is not there: a minute, answering nobody, and ends.",
                    [f"journal of slurmctld: {text}", *([host.line("slurm_conf", key)] if key else [])],
                    f"Write {path}, or take out what calls for it{f' ({key})' if key else ''}; then systemctl restart "
                    "slurmctld.",
                )


_WAITED_SECONDS = 600.0
_CALLS_FOR = {"topology.conf": "TopologyPlugin", "gres.conf": "GresTypes", "burst_buffer.conf": "BurstBufferType"}


def _conf_missing(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.hosts:
        conf = host.facts["slurm_conf"]
        daemons = [daemon for daemon in READERS["slurm_conf"] if daemon in host.roles]
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


def _unreadable(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        conf, user = host.facts["slurm_conf"], host["runs_as"]
        closed = host.evidence.get("closed_includes") or ()
        if closed and conf["readable_by_account"] is not False and user["exists"]:
            names = " ".join(map(word, closed))
            yield Sign(
                host.name,
                f"slurmrestd cannot read {', '.join(closed)}, which slurm.conf includes.",
                [f"{path}: not for {user['name']} to read" for path in closed],
                f"`chmod 0644 {names}`, then {start_again([host.rest_unit])}; what is secret there belongs into "
                "slurmdbd.conf or a key file.",
            )
        if conf["exists"] and conf["readable_by_account"] is False and user["exists"]:
            facts = host["files"].get(conf["path"], {})
            own = {"path": conf["path"], "owner": f"{facts.get('owner')}:{facts.get('group')}", "missing": "r"}
            places = host.evidence.get("closed_conf") or [{**own, "mode": str(facts.get("mode"))}]
            yield Sign(
                host.name,
                "slurmrestd cannot read slurm.conf.",
                [f"{entry['path']}: owner {entry['owner']}, mode {entry['mode']}" for entry in places],
                opened(places, host.rest_unit),
            )


_EACH_RELEASE_HAS = (
    *("slurmuser", "slurmctldhost", "clustername", "authtype", "statesavelocation", "plugindir", "dbdhost"),
)


def _unknown_keys(cluster: Cluster) -> Iterator[Sign]:
    """A key that this release does not have: the daemons name it, and no parser but theirs knows all keys."""
    for host, conf, daemons in _read(cluster):
        down = [daemon for daemon in daemons if host.down(daemon)]
        said = [text for daemon in down for text in host.said(daemon, _KEY_UNKNOWN.pattern, runs=1)]
        for key in dict.fromkeys(found[1] for found in map(_KEY_UNKNOWN.search, said) if found):
            entry = host.entry(conf, key)
            if entry is None or key.lower() in _EACH_RELEASE_HAS:
                continue  # it was there, and is not any more; or words that are not the daemon's
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
                f"built with is the default; then {restart(cluster, *READERS[conf])}",
            )


def _removed(cluster: Cluster) -> Iterator[Sign]:
    for host, conf, daemons in _read(cluster):
        content, release = host["confs"][conf], host.release
        for item in content["entries"] if content and release else ():
            gone = [name for name in item["value"].replace(" ", "").split(",") if _full(item, name) in _gone(host)]
            if gone and release:
                yield Sign(
                    host.name,
                    f"Slurm {release.series} has no {', '.join(_full(item, name) for name in gone)} any more; scontrol "
                    "still reads such a file, and the daemon ends.",
                    [f"{item['origin']}: {item['name']}={item['value']}"],
                    f"{_left(item, gone)}, then {_restart(host, daemons)}; the same in every other copy of the file. "
                    "What "
                    f"takes its place is in slurm.conf(5), {item['name']}.",
                )


def _left(item: Mapping[str, Any], gone: Sequence[str]) -> str:
    """What is left of a list without some names; without any, the line goes and the default counts."""
    left = ",".join(name for name in item["value"].replace(" ", "").split(",") if name not in gone)
    path, _, number = item["origin"].rpartition(":")
    if not left:
        return without([item["origin"]])
    changed = f"{number}c {item['name']}={left}"
    return f"`sed -i --follow-symlinks {word(changed)} {word(path)}`"


def _full(item: Mapping[str, Any], name: str) -> str:
    """A plugin with its kind, as the release table has it."""
    return "/".join(filter(None, plugin_kinds.split(item["key"], name.lower())))


def _gone(host: Host) -> frozenset[str]:
    release = host.release
    return frozenset(release.removed_plugins if release else ())


RULES = (
    Rule(
        "include-missing",
        "A file that the configuration includes is missing",
        "slurm.conf(5), INCLUDE",
        _include_missing,
        explains=(
            *ALL_DOWN,
            *SYMPTOMS_AT_REST,
            "not-listening",
            "slurmdbd-not-listening",
            "listens-elsewhere",
            "listener-silent",
            "configuration-differs",
        ),
        fatals=r"(?i)configuration|slurm\.conf|slurmdbd\.conf|s_p_parse|include|ClusterName|cannot stat|unable to",
        preflight=True,
        by_hand="what the missing file says is the site's",
    ),
    Rule(
        "conf-beside-missing",
        "A file beside slurm.conf that it calls for is missing",
        "slurm.conf(5), TopologyPlugin; topology.conf(5)",
        _beside_missing,
        explains=("slurmctld-failed", *SYMPTOMS_AT_REST),
        fatals=r"(?i)cannot stat|s_p_parse|something wrong with opening/reading|topology",
        by_hand="what the missing file says is the site's",
    ),
    Rule(
        "slurm-conf-missing",
        "slurm.conf is not there",
        "slurm.conf(5), DESCRIPTION",
        _conf_missing,
        explains=(
            *ALL_DOWN,
            *SYMPTOMS_AT_REST,
            "slurmctld-skipped",
            "condition-failed",
            "not-listening",
            "configuration-differs",
        ),
        fatals=r"(?i)configuration|slurm\.conf|s_p_parse|cannot stat|unable to|ClusterName",
        by_hand="what it said is the site's",
    ),
    Rule(
        "conf-unreadable",
        "slurmrestd cannot read slurm.conf",
        "slurmrestd(8), -f",
        _unreadable,
        explains=STARTS,
        fatals=r"(?i)unable to read|permission denied|configuration|include",
        by_hand=WHOSE,
    ),
    Rule(
        "conf-key-unknown",
        "The configuration has a key that this release does not have",
        "slurm.conf(5); release notes",
        _unknown_keys,
        explains=(*ALL_DOWN, *SYMPTOMS_AT_REST, "not-listening", "configuration-differs"),
        fatals=r"(?i)configuration|pars",
    ),
    Rule(
        "conf-not-understood",
        "The configuration has lines that Slurm does not take",
        "slurm.conf(5), DESCRIPTION",
        _not_understood,
        explains=(*ALL_DOWN, *SYMPTOMS_AT_REST, "not-listening"),
        fatals=r"(?i)configuration|slurm\.conf|slurmdbd\.conf|pars",
        by_hand="what the lines were to say is not seen here",
    ),
    Rule(
        "plugin-dir-missing",
        "PluginDir does not exist",
        "slurm.conf(5), PluginDir",
        _plugin_directory,
        explains=(
            *ALL_DOWN,
            *SYMPTOMS_AT_REST,
            "jwt-plugin-missing",
            "plugin-unknown",
            "plugin-file-missing",
            "not-listening",
        ),
        fatals=r"(?i)plugin|context",
        preflight=True,
    ),
    Rule(
        "plugin-removed",
        "The configuration has a value that this release does not have",
        "slurm.conf(5); release notes",
        _removed,
        explains=(*ALL_DOWN, *SYMPTOMS_AT_REST),
        fatals=r"(?i)plugin|context|invalid|unknown",
        preflight=True,
    ),
)
