"""Causes in what systemd is told about slurmrestd."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

from ..slurmrestd import drift, unit_places
from .model import Cluster, Host, Rule, Sign
from .remedies import DEPLOY, start_again, unmasked, without, word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DOWN = ("slurmrestd-stopped", "slurmrestd-failed", "restart-loop", "unit-refused", "plugin-fails")
STARTS = (*DOWN, "listens-elsewhere", "not-listening", "token-refused", "foreign-dropin")
_OF_ENVIRONMENT = r"(?i)bind|listen|parse|plugin|SLURMRESTD|configuration|unshare"
"""What variables decide: listeners, plugins, the configuration, what is given up at the start."""

_REFUSED = ("token-refused", "accounting-refused")
_LISTENING = (
    "bind-permission",
    "listener-duplicate",
    "listens-elsewhere",
    "not-listening",
    "port-taken",
    "port-in-slurmctld-range",
)
_OF_FOREIGN = (*_LISTENING, "no-listener", "runs-otherwise", "conf-redirected", "auth-plugin-not-named", *_REFUSED)
_SECURED = r"become_user mode"


def _fragment_listeners(host: Host) -> list[str]:
    return [
        entry["origin"]
        for entry in host.unit["listeners"]
        if entry["origin"].rpartition(":")[0] == host.unit["fragment"]
    ]


def _exec_start_not_reset(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        origins = host["origins"]["ExecStart"]
        listen = host.unit["environment_origins"].get("SLURMRESTD_LISTEN", "")
        added = listen and listen.rpartition(":")[0] != host.unit["fragment"]
        vendor = _fragment_listeners(host)
        remedy = f"{DEPLOY} writes the drop-in with an empty line ExecStart= before the new one."
        if len(origins) > 1:
            cause = "Two commands add up, because the drop-in does not reset ExecStart; systemd refuses such a unit."
            yield Sign(host.name, cause, [f"{origin}: ExecStart=" for origin in origins], remedy)
        elif vendor and added:
            cause = "The vendor's ExecStart is still in force and has listeners of its own, to which the drop-in adds."
            evidence = [f"{origin}: listener in ExecStart" for origin in dict.fromkeys(vendor)]
            yield Sign(host.name, cause, [*evidence, f"{listen}: SLURMRESTD_LISTEN"], remedy)


def _sectioned(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        for entry in host.unit["environment_files"]:
            if entry["sectioned"]:
                yield Sign(
                    host.name,
                    "A unit file stands where an environment file belongs: systemd ignores its section and reads its "
                    "directives as variables.",
                    [f"{entry['path']} has a [Section]", f"{entry['origin']}: EnvironmentFile={entry['path']}"],
                    f"`mv {word(entry['path'])} {word(entry['path'] + '.unit')}`, {DEPLOY}; what it was to state "
                    f"belongs into a drop-in (systemctl edit {host.rest_unit}).",
                )


def _environment_file_wins(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        files = {entry["path"] for entry in host.unit["environment_files"] if not entry["sectioned"]}
        for name, said in host["environment_only"].items():
            origin = host.unit["environment_origins"].get(name, "")
            value = host.unit["environment"].get(name)
            if origin.rpartition(":")[0] in files and value != said["value"]:
                yield Sign(
                    host.name,
                    f"An environment file sets {name} to another value than the unit, and environment files win.",
                    [f"{origin}: {name}={value}", f"{said['origin']}: {name}={said['value']}"],
                    f"`sed -i --follow-symlinks {word(f'/^ *{name}=/d')} {word(origin.rpartition(':')[0])}`; "
                    f"{start_again([host.rest_unit])}; "
                    f"{_variable(name)} is the place for it.",
                )


def _variable(name: str) -> str:
    known = {"SLURMRESTD_LISTEN": "slurmrestd_service_listen", "SLURM_JWT": "slurmrestd_service_auth"}
    return known.get(name, "slurmrestd_service_environment")


def _writable(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        for path, facts in host["files"].items():
            if path in (host.facts["slurm_conf"]["path"], host.facts["slurmdbd_conf"]["path"]) or facts.get("null"):
                continue
            if facts.get("account_writes") or facts.get("account_replaces") or facts.get("others_write"):
                both = f"{word(path)} {word(posixpath.dirname(path))}"
                yield Sign(
                    host.name,
                    f"{path} decides what root starts, and accounts other than root may change it.",
                    [f"{path}: owner {facts['owner']}:{facts['group']}, mode {facts['mode']}"],
                    f"`chown root {both}; chmod go-w {both}`",
                )


def _foreign_dropin(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        if host.facts.get("dropin", unit_places.DROPIN) not in host.unit["dropins"]:
            continue
        files: dict[str, list[Mapping[str, Any]]] = {}
        for item in host.facts["contradictions"]:
            if item["file"] in host.unit["dropins"] and item["file"] != host.facts.get("dropin", unit_places.DROPIN):
                files.setdefault(item["file"], []).append(item)
        for path, items in files.items():
            places = [f"{path}:{item['line']}" for item in items]
            secured = any(item["setting"] == "SLURMRESTD_SECURITY" for item in items)
            ends = DOWN if secured and re.search(_SECURED, "\n".join(host.ended("slurmrestd"))) else ()
            yield Sign(
                host.name,
                "A drop-in that is not this toolkit's sorts later and decides "
                f"{', '.join(dict.fromkeys(item['setting'] for item in items))}.",
                [f"{path}:{item['line']}: {item['setting']}={item['value']}" for item in items],
                f"{without(places)}; {loaded(host)}; what it is for belongs into the roles' variables.",
                explains=(*_OF_FOREIGN, *ends),
            )


def _no_listener(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        if host.unit["exec_start"] and not host.unit["listeners"] and host.facts["slurmrestd"]["path"]:
            yield Sign(
                host.name,
                "slurmrestd is given nothing to listen on: it takes standard input for a client, finds it empty, and "
                "exits with code 0 and without a word.",
                [f"{origin}: ExecStart without a listener" for origin in host["origins"]["ExecStart"]]
                + ["SLURMRESTD_LISTEN is not set, or empty"],
                f"{DEPLOY} has it listen where slurmrestd_service_listen says.",
            )


def _needs_reload(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        if host["units"].get("slurmrestd", {}).get("needs_reload"):
            newest = min((facts.get("age", 0.0), path) for path, facts in host["files"].items() if "/systemd/" in path)
            yield Sign(
                host.name,
                "A file of the unit has changed since systemd read it: what is on disk is not what runs.",
                [
                    f"systemctl show {host.rest_unit}: NeedDaemonReload=yes",
                    f"{newest[1]} changed {newest[0]:.0f} s ago",
                ],
                loaded(host),
            )


def loaded(host: Host) -> str:
    """Have systemd read the unit anew, and slurmrestd start with it."""
    return f"`systemctl daemon-reload; systemctl restart {host.rest_unit}`"


def _not_restarted(cluster: Cluster) -> Iterator[Sign]:
    """The running process was started from another unit than the one that is loaded."""
    for host in cluster.rest:
        process = host["processes"].get("slurmrestd")
        if not process or process["environment"] is None or host.down("slurmrestd"):
            continue
        told, has = host.unit["environment"].get("SLURMRESTD_LISTEN"), process["environment"].get("SLURMRESTD_LISTEN")
        if told != has:
            yield Sign(
                host.name,
                "slurmrestd was not restarted after its unit or environment file changed.",
                [f"the unit says SLURMRESTD_LISTEN={told}", f"process {process['pid']} has SLURMRESTD_LISTEN={has}"],
                loaded(host),
            )


def _runs_otherwise(cluster: Cluster) -> Iterator[Sign]:
    """The process against our drop-in: what no file shows, too."""
    for host in cluster.rest:
        found = [] if host.down("slurmrestd") else host.facts.get("running") or []
        if found:
            stale = all(item["origin"] == drift.NOWHERE for item in found)
            remedy = f"{DEPLOY} restarts it with what the drop-in says."
            of_manager = " ".join(map(word, host.evidence.get("manager") or ()))
            if stale and of_manager:
                remedy = f"`systemctl unset-environment {of_manager}`, then {start_again([host.rest_unit])}"
            elif not stale:
                places = without(item["origin"] for item in found if item["origin"] != drift.NOWHERE)
                remedy = f"{places} takes out what decides otherwise; then {DEPLOY}"
            yield Sign(
                host.name,
                "The running slurmrestd does not do what this toolkit's drop-in says.",
                [
                    *(item["text"] for item in found),
                    *([f"systemctl show-environment: {of_manager}"] if stale and of_manager else []),
                ],
                remedy,
            )


def _redirected(cluster: Cluster) -> Iterator[Sign]:
    """A variable sends the daemon to another slurm.conf than the host's other daemons and commands use."""
    for host in cluster.rest:
        unit, usual = host.unit, posixpath.join("/etc/slurm", "slurm.conf")
        given = [option["value"] for option in unit["options"] if option["flag"] == "-f"]
        path = unit["environment"].get("SLURM_CONF", "")
        if given or not path or path == usual:
            continue
        origin = unit["environment_origins"]["SLURM_CONF"]
        there = host.facts["slurm_conf"]
        missing = path == there["path"] and not there["exists"]
        ours = host.facts.get("dropin", unit_places.DROPIN) in unit["dropins"]
        if not missing and not (ours and posixpath.basename(path) == "slurm.conf"):
            continue  # a site that has it there, or a file of its own for slurmrestd, and runs well
        yield Sign(
            host.name,
            "A variable of its environment sends slurmrestd to another slurm.conf"
            + (", which is not there." if missing else " than the one that it was deployed for."),
            [f"{origin}: SLURM_CONF={path}", *([f"{path} does not exist"] if missing else [])],
            f"{without([origin])}; {loaded(host)}; or name its directory in slurm_common_config_dir.",
        )


def _masked(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        state = host["units"].get("slurmrestd", {})
        fragment = state.get("fragment") or host.unit["fragment"] or ""
        if state.get("load") == "masked" or host["files"].get(fragment, {}).get("null"):
            place = fragment or f"/etc/systemd/system/{host.rest_unit}.service"
            yield Sign(
                host.name,
                "The unit is masked: systemd starts it for nobody.",
                [f"{place} is a link to /dev/null (systemctl mask)"],
                f"{unmasked(host.rest_unit)}, then {DEPLOY}",
            )


def _killed(cluster: Cluster) -> Iterator[Sign]:
    """It did not end when it was told to; told as long as the next stop would go the same way.

    A start that took too long has the same Result=timeout, and ends with the same words: those of the stop tell.
    """
    for host in cluster.rest:
        now, release = host.evidence.get("kill_signal", ""), host.release
        wanted = release.stop_signal if release else now
        said = host.said("slurmrestd", r"\b(?:stop|final)-sig\w+'? timed out")
        fields = host["units"].get("slurmrestd", {})
        if not said or (now == wanted and fields.get("result") != "timeout"):
            continue
        other = now and now != wanted
        yield Sign(
            host.name,
            "slurmrestd did not end when it was stopped, and systemd killed it after a while in which nothing answered."
            + (f" The unit sends {now}, on which this release may not end while it serves." if other else ""),
            [*said[:1], *([f"the unit has KillSignal={now}"] if now else [])],
            f"{DEPLOY} sets KillSignal={wanted} and a short TimeoutStopSec=."
            if other
            else f"See what it was busy with (journalctl -u {host.rest_unit}); then {start_again([host.rest_unit])}",
        )


def _condition(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        if host.state("slurmrestd") == "skipped":
            yield Sign(
                host.name,
                "A condition of the unit does not hold, so systemd skips it without an error.",
                [*host.unit["conditions"], f"systemctl show {host.rest_unit}: ConditionResult=no"],
                f"{DEPLOY} writes unit and slurm.conf anew; a condition of the site's own has to be met by hand, and "
                "where "
                "slurm.conf is in another directory, slurm_common_config_dir has to name it.",
            )


RULES = (
    Rule(
        "execstart-not-reset",
        "The vendor's ExecStart was not reset",
        "rest_quickstart.html, Customization; systemd.service(5), ExecStart=",
        _exec_start_not_reset,
        explains=(
            *DOWN,
            "bind-permission",
            "listener-duplicate",
            "listens-elsewhere",
            "daemon-reload-missing",
            "restart-missing",
            "auth-plugin-not-named",
        ),
        fatals=r"Unable to bind",
    ),
    Rule(
        "daemon-reload-missing",
        "systemd has not read the changed unit",
        "systemctl(1), daemon-reload",
        _needs_reload,
        explains=(
            *_LISTENING,
            *("restart-missing", "foreign-dropin", "no-listener", "slurm-jwt-not-daemon", "listener-silent"),
            *("runs-otherwise", "conf-redirected"),
        ),
    ),
    Rule(
        "environment-file-sectioned",
        "The environment file is written like a unit",
        "systemd.exec(5), EnvironmentFile=",
        _sectioned,
        explains=(*DOWN, "listens-elsewhere", "no-listener"),
        fatals=_OF_ENVIRONMENT,
    ),
    Rule(
        "environment-file-wins",
        "An environment file overrides the drop-in",
        "systemd.exec(5), EnvironmentFile=; rest_quickstart.html, Customization",
        _environment_file_wins,
        explains=(
            *_LISTENING,
            *DOWN,
            *("no-listener", "slurm-jwt-not-daemon", "foreign-dropin", "socket-directory-missing", "runs-otherwise"),
        ),
        fatals=_OF_ENVIRONMENT,
    ),
    Rule(
        "foreign-dropin",
        "Another drop-in overrides this toolkit's",
        "systemd.unit(5), drop-ins",
        _foreign_dropin,
        explains=_OF_FOREIGN,
        fatals=_SECURED,
    ),
    Rule(
        "unit-masked",
        "The unit of slurmrestd is masked",
        "systemctl(1), mask",
        _masked,
        explains=(*DOWN, "listens-elsewhere", "daemon-reload-missing", "no-listener", "execstart-not-reset"),
    ),
    Rule(
        "conf-redirected",
        "The unit's environment names another slurm.conf",
        "slurmrestd(8), SLURM_CONF; systemd.exec(5), EnvironmentFile=",
        _redirected,
        explains=(
            *DOWN,
            "runs-otherwise",
            "condition-failed",
            "configuration-differs",
            "slurm-conf-missing",
            *_REFUSED,
        ),
        fatals=r"(?i)configuration|slurm\.conf|ClusterName",
    ),
    Rule(
        "no-listener",
        "slurmrestd has nothing to listen on",
        "slurmrestd(8), inetd compatible mode",
        _no_listener,
        explains=(*DOWN, "listens-elsewhere"),
    ),
    Rule(
        "condition-failed",
        "A condition of the unit does not hold",
        "systemd.unit(5), Conditions and Asserts",
        _condition,
        explains=(*DOWN, "listens-elsewhere"),
    ),
    Rule(
        "restart-missing",
        "slurmrestd runs with an earlier configuration",
        "rest_quickstart.html, Customization",
        _not_restarted,
        explains=("listens-elsewhere", "not-listening", "listener-silent", "runs-otherwise"),
    ),
    Rule(
        "runs-otherwise",
        "slurmrestd does not run with what the drop-in says",
        "systemd.unit(5), drop-ins; systemctl(1), set-environment",
        _runs_otherwise,
        explains=("listens-elsewhere", "not-listening", "listener-silent", *_REFUSED),
    ),
    Rule(
        "stop-needs-kill",
        "slurmrestd had to be killed",
        "systemd.service(5), TimeoutStopSec=; systemd.kill(5), KillSignal=",
        _killed,
        explains=DOWN,
    ),
    Rule(
        "dropin-writable",
        "The service account may change its own unit",
        "rest.shtml, Security; systemd.unit(5)",
        _writable,
    ),
)
