"""Causes in how systemd is to start a daemon: a Type= that it does not do, variables of no file, an option of none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..slurmrestd import unit_places
from .endings import OF_SYSTEMD
from .model import Cluster, Host, Rule, Sign
from .remedies import DEPLOY, start_again, without, word
from .rules_munge import IN_ORDER
from .rules_units import DOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..slurm.releases import Release

ENDS = {
    "slurmrestd": DOWN,
    "slurmctld": ("slurmctld-stopped", "slurmctld-failed"),
    "slurmdbd": ("slurmdbd-stopped", "slurmdbd-failed"),
}
"""By daemon, the findings that say no more than that it does not run."""

ALL_ENDS = tuple(name for names in ENDS.values() for name in names)

_WAITED_FOR = {
    "forking": "its first process to end, and slurmrestd does not go to the background",
    "oneshot": "it to end, and slurmrestd goes on",
    "dbus": "a name on the bus, and slurmrestd takes none",
    "notify": "its notice that it is up, and no release of slurmrestd gives one",
    "notify-reload": "its notice that it is up, and no release of slurmrestd gives one",
}
"""What systemd waits for in vain (systemd.service(5), Type=)."""

_STARTING = r"start operation timed out|Failed with result 'protocol'"
_EXEC = 203
_BEFORE_IT = {f"exit code {status}" for status in OF_SYSTEMD if status != _EXEC}
"""What systemd could not set up for the command is for every program of the unit: the command is not at fault."""

_CUT_OFF = r"(?:condition|start-pre|start-post) operation timed out"
_FLAGS = ("-a", "-f", "-g", "-h", "-s", "-t", "-u", "-v", "-V", "--help")
_USAGE = r"^[Uu]sage: |unrecognized option|invalid option"
_PLAIN = re.compile(r"[\w.=,-]+")


def _type(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        kind, origins = host.evidence.get("type", ""), host["origins"].get("Type") or ()
        fields = host["units"].get("slurmrestd") or {}
        said = host.said("slurmrestd", _STARTING)
        waits = fields.get("active") == "activating" and fields.get("sub") != "auto-restart"
        refused = kind == "oneshot" and host.state("slurmrestd") == "refused"
        failed = host.down("slurmrestd") and fields.get("result") in ("timeout", "protocol") and said
        if kind in _WAITED_FOR and origins and (waits or refused or failed):
            yield Sign(
                host.name,
                f"The unit has Type={kind}: systemd waits for {_WAITED_FOR[kind]}."
                + ("" if waits or refused else " After TimeoutStartSec= it ends what it has started."),
                [f"{origins[-1]}: Type={kind}", *said[:1]],
                _without_line(host, origins[-1], "state Type=simple"),
            )


def _without_line(host: Host, origin: str, instead: str) -> str:
    if origin.rpartition(":")[0] == host.unit["fragment"]:
        return f"{instead[0].upper()}{instead[1:]} in a drop-in (systemctl edit {host.rest_unit}), and start it again."
    return f"{without([origin])}, `systemctl daemon-reload`, then {start_again([host.rest_unit])}"


def _environment_file(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.hosts:
        for daemon in IN_ORDER:
            gone = (host.evidence.get("environment_files_gone") or {}).get(daemon) or ()
            fields, service = host["units"].get(daemon) or {}, host.service(daemon)
            if not gone or daemon not in host.roles or fields.get("result") != "resources":
                continue
            said = host.said(daemon, r"Failed to (?:load environment files|(?:spawn|run) 'start)")
            optional = "; ".join(
                f"sed -i --follow-symlinks {word(f'{number}s/=/=-/')} {word(file)}"
                for file, _, number in (entry["origin"].rpartition(":") for entry in gone)
            )
            yield Sign(
                host.name,
                f"The unit of {daemon} wants variables from {', '.join(entry['path'] for entry in gone)}, which is not "
                "there: systemd does not start it.",
                [*(f"{entry['origin']}: EnvironmentFile={entry['path']}" for entry in gone), *said[:1]],
                f"Put {' and '.join(entry['path'] for entry in gone)} back; where {daemon} does without, "
                f"`{optional}; systemctl daemon-reload`, then {start_again([service])}",
                explains=DOWN if daemon == "slurmrestd" else (f"{daemon}-failed",),
            )


def _command(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.hosts:
        for daemon, seen in (host.evidence.get("commands_failed") or {}).items():
            failed = [one for one in seen if one["ended"] not in _BEFORE_IT]
            if daemon not in host.roles or not host.down(daemon) or not failed:
                continue
            one, service = failed[0], host.service(daemon)
            after = one["key"] == "ExecStartPost"
            what = "ends what it has started" if after else "does not start it"
            late = host.said(daemon, _CUT_OFF)[:1] if one["ended"].startswith("signal") else []
            how = "is cut off by systemd, since TimeoutStartSec= was over before it was done" if late else "fails"
            why = "takes so long (or raise TimeoutStartSec=)" if late else "fails"
            yield Sign(
                host.name,
                f"A command that the unit of {daemon} runs {'after' if after else 'before'} it {how} "
                f"({one['key']}, {one['ended']}): systemd {what}.",
                [
                    *(f"{one['origin']}: {one['command']}: {one['ended']}" for one in failed),
                    *dict.fromkeys((*late, *host.words(daemon)[:2])),
                ],
                f"See why it {why}, and mend that, or take that line out of {one['origin'].rpartition(':')[0]} and run "
                f"systemctl daemon-reload; then systemctl reset-failed {service} and systemctl restart {service}.",
                explains=ENDS[daemon],
            )


def _option(cluster: Cluster) -> Iterator[Sign]:
    """It prints its usage and ends, without a word of which option it was."""
    for host in cluster.rest:
        release, said = host.release, host.said("slurmrestd", _USAGE)
        wrong = [item for item in host.unit["options"] if release and item["flag"] not in _options(release)]
        if not said or not wrong or not host.down("slurmrestd"):
            continue
        item = wrong[0]
        text = item["flag"] + (f"={item['value']}" if item["value"] and item["flag"].startswith("--") else "")
        yield Sign(
            host.name,
            f"slurmrestd of this release has no option {item['flag']}: it prints its usage, and ends.",
            [*(f"{entry['origin']}: {entry['flag']}" for entry in wrong), said[0]],
            _without_option(host, item["origin"], text),
        )


def _options(release: Release) -> tuple[str, ...]:
    more = {
        "-d": release.data_parser_flag,
        "--max-connections": release.max_connections_flag,
        "--generate-openapi-spec": release.generate_openapi_spec,
    }
    return (*_FLAGS, *(flag for flag, there in more.items() if there))


def _without_option(host: Host, origin: str, text: str) -> str:
    """The word goes, the rest of its line stays; what this toolkit wrote is written anew."""
    file, _, number = origin.rpartition(":")
    if file == host.facts.get("dropin", unit_places.DROPIN):
        return f"{DEPLOY} states the options that this release has."
    if file == host.unit["fragment"] or not _PLAIN.fullmatch(text):
        return f"Take {text} out of {origin}, then systemctl daemon-reload and systemctl restart {host.rest_unit}."
    edit = word(f"{number}s/{text.replace('.', '[.]')}//")
    again = start_again([host.rest_unit])
    return f"`sed -i --follow-symlinks {edit} {word(file)}; systemctl daemon-reload`, then {again}"


RULES = (
    Rule(
        "unit-type",
        "systemd waits for what slurmrestd does not do",
        "systemd.service(5), Type=",
        _type,
        explains=(*DOWN, "stop-needs-kill", "listens-elsewhere", "daemon-reload-missing"),
        by_hand="a line of the vendor's unit is changed in a drop-in that the site writes",
    ),
    Rule(
        "environment-file-missing",
        "The unit wants an environment file that is not there",
        "systemd.exec(5), EnvironmentFile=",
        _environment_file,
        explains=(*DOWN, "slurmctld-failed", "slurmdbd-failed"),
    ),
    Rule(
        "unit-command-fails",
        "A command beside a daemon fails, and the daemon is not started",
        "systemd.service(5), ExecStartPre=, ExecCondition=",
        _command,
        explains=ALL_ENDS,
        by_hand="what the command is for is the site's to say",
    ),
    Rule(
        "option-unknown",
        "slurmrestd is given an option that it does not have",
        "slurmrestd(8), OPTIONS",
        _option,
        explains=(*DOWN, "listens-elsewhere"),
        fatals=_USAGE,
        by_hand="what else is in that line is the site's",
    ),
)
