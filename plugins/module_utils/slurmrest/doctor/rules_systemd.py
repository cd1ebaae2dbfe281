"""Causes in what systemd demands for a daemon: other units that run, a sign of life, families of addresses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..slurmrestd import unit_places
from .model import Cluster, Host, Rule, Sign
from .remedies import DEPLOY, start_again, without, word
from .rules_start import ALL_ENDS, ENDS
from .rules_units import DOWN
from .unit_states import UNITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_DEPENDENCY = r"^Dependency failed for |result 'dependency'|[Bb]ound to unit \S+, but unit"
_WATCHDOG = r"Watchdog timeout"
_FAMILY = r"(?i)address family not supported"
_OF_OTHER_RULES = {f"{name}.service" for name in UNITS}
"""Rules of their own say why these do not run."""

_NO_TIME = ("0", "infinity", "")


def _dependency(cluster: Cluster) -> Iterator[Sign]:
    """Units without which systemd does not start a daemon, and that do not run."""
    for host in cluster.hosts:
        for daemon, needs in (host.evidence.get("needs_unmet") or {}).items():
            unmet = [need for need in needs if need["unit"] not in _OF_OTHER_RULES]
            said = host.said(daemon, _DEPENDENCY) if daemon in host.roles and host.down(daemon) else []
            gone = [need for need in unmet if need["LoadState"] in ("not-found", "masked")]
            failed = [need for need in unmet if need["ActiveState"] == "failed"]
            stopped = host.state(daemon) == "stopped" and daemon in host.roles
            named = (gone or failed) if stopped else []
            named = named or ((failed or gone or unmet) if said else [])
            if not named:
                continue
            names, service = " ".join(need["unit"] for need in named), host.service(daemon)
            which = "units that do" if len(named) > 1 else "a unit that does"
            yield Sign(
                host.name,
                f"The unit of {daemon} needs {which} not run: {', '.join(map(_need, named))}. systemd does not start "
                "it without.",
                [*(f"{service}: {need['key']}={need['unit']} (systemctl show)" for need in named), *said[:2]],
                f"See why that fails (systemctl status {names}; journalctl -u {named[0]['unit']}), and mend it, or "
                f"take it out of the unit of {daemon} (systemctl cat {service}); then systemctl restart {service}.",
                explains=ENDS[daemon],
            )


def _need(need: Mapping[str, str]) -> str:
    if need["LoadState"] in ("not-found", "masked"):
        return f"{need['unit']} is {need['LoadState'].replace('-', ' ')}"
    why = f", {need['Result']}" if need["Result"] not in ("", "success") else ""
    return f"{need['unit']} is {need['ActiveState']}{why}"


def _stated(host: Host, daemon: str, key: str) -> Sequence[Mapping[str, str]]:
    """The lines of a daemon's unit with this key."""
    found = (host.evidence.get("unit_lines") or {}).get(daemon) or ()
    return [line for line in found if line["key"] == key]


def _watchdog(cluster: Cluster) -> Iterator[Sign]:
    for host, daemon in cluster.each(*ENDS):
        lines = _stated(host, daemon, "WatchdogSec")[-1:]
        said = host.said(daemon, _WATCHDOG) if lines else []
        if lines and said and lines[0]["value"] not in _NO_TIME:
            yield Sign(
                host.name,
                f"The unit has WatchdogSec={lines[0]['value']}: systemd waits for signs of life, and {daemon} gives "
                "none. Each time that this is over, systemd ends it.",
                [_quoted(lines[0]), said[0]],
                _mended(host, daemon, lines[0], "WatchdogSec=0"),
                explains=(*ENDS[daemon], *_SYMPTOMS),
            )


def _families(cluster: Cluster) -> Iterator[Sign]:
    """Of slurmctld and slurmdbd; :mod:`.rules_confinement` looks at slurmrestd."""
    for host, daemon in cluster.each("slurmctld", "slurmdbd"):
        lines = _stated(host, daemon, "RestrictAddressFamilies")
        said = host.said(daemon, _FAMILY) if lines else []
        if lines and said:
            yield Sign(
                host.name,
                f"The unit does not let {daemon} have a socket that it needs: RestrictAddressFamilies=.",
                [_quoted(lines[-1]), said[0]],
                _mended(host, daemon, lines[-1], "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6"),
                explains=(*ENDS[daemon], *_SYMPTOMS),
            )


def _variable(cluster: Cluster) -> Iterator[Sign]:
    """A variable whose value slurmrestd does not take: it ends with the name of it."""
    for host in cluster.rest:
        said = [text for text in host.words("slurmrestd") if re.search(_INVALID, text)]
        found = re.search(_INVALID, said[0]) if said and host.down("slurmrestd") else None
        if found:
            origin = host.unit["environment_origins"].get(found[1], "")
            yield Sign(
                host.name,
                f"slurmrestd does not take the value that {found[1]} has in its environment.",
                [f"{origin}: {found[1]}={host.unit['environment'].get(found[1])}" if origin else _NOWHERE, said[0]],
                _without_variable(host, found[1], origin),
            )


def _without_variable(host: Host, name: str, origin: str) -> str:
    """Its line goes where it has no other variable, and is the site's."""
    file, service = origin.rpartition(":")[0], host.rest_unit
    alone = [other for other, place in host.unit["environment_origins"].items() if place == origin] == [name]
    if name in (host.evidence.get("manager") or ()) and not origin:
        return f"`systemctl unset-environment {word(name)}`, then {start_again([service])}"
    if file == host.facts.get("dropin", unit_places.DROPIN):
        return f"Correct {name} in slurmrestd_service_environment, then {DEPLOY}"
    if not alone or file == host.unit["fragment"]:
        return f"Correct {name} in {origin or 'its environment'}; then systemctl restart {service}."
    return f"{without([origin])}, `systemctl daemon-reload`, then {start_again([service])}"


_INVALID = r"Invalid env (SLURM\w*): "
_NOWHERE = "no file of the unit sets it"

_SYMPTOMS = (
    *("listener-silent", "not-listening", "listens-elsewhere", "token-refused", "accounting-refused"),
    "socket-removed",
    *("daemon-unreached", "token-not-minted", "cluster-not-registered", "no-controller-in-charge"),
)


def _quoted(line: Mapping[str, str]) -> str:
    return f"{line['origin']}: {line['key']}={line['value']}"


def _mended(host: Host, daemon: str, line: Mapping[str, str], instead: str) -> str:
    """A line of the site's goes; what the vendor wrote is stated otherwise, what this toolkit wrote by a variable."""
    file, service = line["origin"].rpartition(":")[0], host.service(daemon)
    if file == host.facts.get("dropin", unit_places.DROPIN):
        return f"Take {line['key']} out of slurmrestd_service_sandbox, then {DEPLOY}"
    if file == (host["units"].get(daemon) or {}).get("fragment"):
        return f"State {instead} in a drop-in (systemctl edit {service}), then systemctl restart {service}."
    return f"{without([line['origin']])}, `systemctl daemon-reload`, then {start_again([service])}"


RULES = (
    Rule(
        "unit-dependency-fails",
        "A unit that a daemon needs does not run",
        "systemd.unit(5), Requires=, BindsTo=",
        _dependency,
        explains=ALL_ENDS,
        by_hand="what that unit is for, and how it is mended, is the site's to say",
    ),
    Rule(
        "unit-watchdog",
        "systemd waits for signs of life that a daemon does not give",
        "systemd.service(5), WatchdogSec=",
        _watchdog,
        explains=(*ALL_ENDS, *_SYMPTOMS),
        by_hand="a line of the vendor's unit is changed in a drop-in that the site writes",
    ),
    Rule(
        "variable-invalid",
        "A variable of slurmrestd has a value that it does not take",
        "slurmrestd(8), ENVIRONMENT VARIABLES",
        _variable,
        explains=(*DOWN, "foreign-dropin", "listens-elsewhere"),
        fatals=_INVALID,
        by_hand="what else is in that line is the site's",
    ),
    Rule(
        "unit-denies-sockets",
        "The unit of slurmctld or slurmdbd denies it sockets",
        "systemd.exec(5), RestrictAddressFamilies=",
        _families,
        explains=(*ALL_ENDS, *_SYMPTOMS),
        fatals=_FAMILY,
        by_hand="a line of the vendor's unit is changed in a drop-in that the site writes",
    ),
)
