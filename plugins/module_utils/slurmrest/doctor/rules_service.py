"""Causes in who slurmrestd runs as, what it is started with and where it listens."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..slurm.ports import port_range
from ..slurmrestd import address, listeners, spelling
from ..slurmrestd.plugins import asked_plugins
from ..systemd.systemctl import refusal
from .holder import holder
from .model import Cluster, Host, Rule, Sign
from .remedies import DEPLOY, start_again, variables, word
from .rules_units import DOWN, STARTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_ACCOUNT = {"slurm_common_slurmrestd_user": "slurmrestd", "slurm_common_slurmrestd_group": "slurmrestd"}
ACCOUNT = f"Set {variables(_ACCOUNT)} (or another account of its own), then {DEPLOY}"
QUICK_START = "rest_quickstart.html, Common Issues"
_NOBODY = (99, 65534)
_FIRST_PORT = 1024
_SHARE = {"slurmrestd_service_environment": {"SLURMRESTD_SECURITY": "disable_unshare_sysv,disable_unshare_files"}}
_ANY = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
_IDENTITY = r"should not be run|must not be run|(?i:supplementary)|User unknown"
_IN_USE = r"(?i)address already in use|already is listening"
_BIND = r"Unable to bind (?:UNIX )?socket: "


# --- account ---------------------------------------------------------------------------------------------------------


def _identity(host: Host) -> str:
    """Which of the refused identities the unit has; empty where it is a good one."""
    account, slurm = host["runs_as"], host.facts["slurm_user"] or {}
    if host.unit["dynamic_user"] or not host.facts["slurmrestd"]["path"]:
        return ""
    if not account["exists"]:
        return "missing"
    if account["uid"] == 0:
        return "root"
    if account["uid"] == slurm.get("uid"):
        return "slurm-user"
    if account["uid"] in _NOBODY:
        return "nobody"
    group = host.unit["group"]
    if slurm and (group or account["group"]) in (slurm.get("group"), "root"):
        return "slurm-group"
    return "extra-groups" if account["supplementary_groups"] or host.unit["supplementary_groups"] else ""


def _who(host: Host, *keys: str) -> list[str]:
    lines = [f"{origin}: {key}=" for key in keys for origin in host["origins"][key][-1:]]
    stated = {"User=": host.unit["user"], "Group=": host.unit["group"]}
    lines = [line + str(stated.get(line.rpartition(": ")[2], "") or "") for line in lines]
    return lines or [f"{host.unit['fragment']} and its drop-ins have no {keys[0]}="]


def _account(kind: str, cause: str) -> Any:
    def look(cluster: Cluster) -> Iterator[Sign]:
        for host in cluster.rest:
            if _identity(host) == kind:
                said = host.said(
                    "slurmrestd", r"should not be run|must not be run|supplementary|status=217|User unknown"
                )
                evidence = [*_who(host, "User", "Group"), *_id(host["runs_as"])]
                yield Sign(host.name, cause, [*evidence, *(said[:1] if host.down("slurmrestd") else [])], ACCOUNT)

    return look


def _id(account: Mapping[str, Any]) -> list[str]:
    if not account["exists"]:
        return [f"there is no account {account['name']} on this host"]
    groups = ", ".join([str(account["group"]), *account["supplementary_groups"]])
    return [f"id {account['name']}: uid {account['uid']}, groups {groups}"]


def _extra_groups(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        if _identity(host) == "extra-groups":
            account = host["runs_as"]
            groups = [*account["supplementary_groups"], *host.unit["supplementary_groups"]]
            said = host.said("slurmrestd", r"should not be run|supplementary")
            yield Sign(
                host.name,
                f"The account is also in {', '.join(groups)}: slurmrestd would have their rights, and refuses some.",
                [*_id(account), *(said[:1] if host.down("slurmrestd") else [])],
                _leave(host, account),
            )


def _leave(host: Host, account: Mapping[str, Any]) -> str:
    """Out of the account's groups; those of the unit go with our drop-in."""
    commands = [f"gpasswd -d {word(account['name'])} {word(group)}" for group in account["supplementary_groups"]]
    left = f"`{'; '.join(commands)}`, then " if commands else ""
    return left + (DEPLOY if host.unit["supplementary_groups"] else start_again([host.rest_unit]))


# --- the sandbox and authentication ----------------------------------------------------------------------------------


def _unshare(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        said = host.said("slurmrestd", r"Unable to unshare") or _silence(host)
        if said and host.down("slurmrestd"):
            yield Sign(
                host.name,
                "slurmrestd may not leave namespaces here: a container or a system call filter forbids unshare(2).",
                said[:2],
                f"Allow it, or set {variables(_SHARE)}, then {DEPLOY}",
            )


def _unconfinable(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        if host.down("slurmrestd") and not _identity(host):
            said = host.said("slurmrestd", r"Failed to set up|Failed at step|status=\d+/[A-Z]+")
            if refusal("\n".join(said)):
                yield Sign(
                    host.name,
                    "systemd gives the unit up before slurmrestd runs: a container or the kernel does not allow what "
                    "its sandbox asks for.",
                    said[:2],
                    'Change the directive or leave it out, as slurmrestd_service_sandbox with PrivateUsers: "no" does, '
                    "and "
                    "run playbooks/deploy.yml.",
                )


def _silence(host: Host) -> list[str]:
    """Older releases end without a word about it: then it counts that unshare is denied."""
    unit = host["units"].get("slurmrestd", {})
    if unit.get("exit_status") != 1 or host.said("slurmrestd", r"(?i)fatal|error|unrecognized|unknown"):
        return []
    denied = f"systemctl show {host.rest_unit}: SystemCallFilter= denies unshare"
    reasons = [] if unit.get("unshare", True) else [denied]
    tried = host.evidence.get("unshare")
    reasons += [f"unshare(CLONE_SYSVSEM) on this host: {tried}"] if tried else []
    return [*reasons, "slurmrestd ends with status 1 and says nothing"] if reasons else []


def _jwt_variable(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        asked = [name for _, kind, name in asked_plugins(host.unit) if kind == "rest_auth"]
        value = host.unit["environment"].get("SLURM_JWT")
        local = "jwt" not in asked if asked else all(listener.kind == "unix" for listener, _ in _told(host))
        if not host.unit["exec_start"] or value == "daemon" or (value is None and local):
            continue
        origin = host.unit["environment_origins"].get("SLURM_JWT")
        state = f"{origin}: SLURM_JWT has another value" if origin else "the unit does not set SLURM_JWT"
        refused = [
            f"GET {host.http['url']}{entry['path']} as {entry['as']}: {entry['status']} {entry['words']}"
            for entry in [host.http.get("diag")]
            if entry and not entry["good"] and host.http.get("url")
        ]
        said = host.said("slurmrestd", r"Rejecting thread config token")
        if value is None:
            cause = "Without SLURM_JWT in its environment slurmrestd does not load auth/jwt and refuses every token."
        else:
            cause = (
                "SLURM_JWT holds something else than the word daemon, perhaps a real token, which any root can read."
            )
        remedy = f"Set `slurmrestd_service_auth: jwt`, then {DEPLOY}, which states SLURM_JWT=daemon."
        yield Sign(host.name, cause, [state, *refused, *said[:1]], remedy)


def _plugin_not_named(cluster: Cluster) -> Iterator[Sign]:
    """Both ways of knowing clients are loaded, and over a UNIX socket the wrong one answers first."""
    for host in cluster.rest:
        there, unit = host.facts["plugins"], host.unit
        sockets = [(listener, origin) for listener, origin in _told(host) if listener.kind == "unix"]
        asked = any(kind == "rest_auth" for _, kind, _ in asked_plugins(unit))
        both = there["rest_auth_jwt"] and there["rest_auth_local"]
        if asked or not both or not sockets or "SLURM_JWT" not in unit["environment"] or host.down("slurmrestd"):
            continue
        said = host.said("slurmrestd", r"rejecting socket connection|initial jwt_decode failure")
        yield Sign(
            host.name,
            "slurmrestd is not told how to know its clients, and loads rest_auth/local beside rest_auth/jwt. Over a "
            "UNIX socket that one decides first: it turns good tokens of others away and forgets that of root.",
            [
                *(f"{origin}: {listener}" for listener, origin in sockets[:1]),
                "the unit names no -a and no SLURMRESTD_AUTH_TYPES",
                *said[:1],
            ],
            f"Set `slurmrestd_service_auth: jwt`, then {DEPLOY}, which states -a rest_auth/jwt.",
        )


# --- listeners -------------------------------------------------------------------------------------------------------


def _told(host: Host) -> list[tuple[address.Listener, str]]:
    found = [(spelling.read(entry["text"]), entry["origin"]) for entry in host.unit["listeners"]]
    return [(listener, origin) for listener, origin in found if listener]


def _clash(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        told = _told(host)
        release = host.release
        for conflict in listeners.conflicts([listener for listener, _ in told]):
            same = conflict.first == conflict.second
            if conflict.first.kind == "unix" or (same and release and not release.duplicate_listener_fatal):
                continue
            origins = [origin for listener, origin in told if listener in (conflict.first, conflict.second)]
            yield Sign(
                host.name,
                f"slurmrestd is told to listen on {conflict.first} and on {conflict.second}: {conflict.reason}.",
                [f"{origin}: listener" for origin in dict.fromkeys(origins)]
                + host.said("slurmrestd", rf"{_BIND}Address already in use")[:1],
                _listen(one for one, _ in told if one != conflict.second)
                if not same
                else _listen(one for one, _ in told),
            )


def _listen(wanted: Iterable[address.Listener]) -> str:
    texts = list(dict.fromkeys(listener.format() for listener in wanted))
    return f"Set {variables({'slurmrestd_service_listen': texts})}, then {DEPLOY}"


def _taken(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        own = host["units"].get("slurmrestd", {}).get("pid")
        wanted = [read for read in map(spelling.read, host.expected) if read]
        # A deployment may be what moves slurmrestd away from where it is told to listen now.
        wanted += [] if cluster.preflight else [listener for listener, _ in _told(host)]
        for entry in host["listening"]:
            meant = any(_collides(entry, listener) for listener in wanted)
            if meant and entry["pid"] != own and not _is_slurmrestd(host, entry):
                program = holder(entry) or "another process"
                yield Sign(
                    host.name,
                    f"{program} has port {entry['port']}, on which slurmrestd is told to listen.",
                    [
                        f"{entry['host']}:{entry['port']} belongs to {program}, process {entry['pid'] or 'unknown'}",
                        *host.said("slurmrestd", rf"{_BIND}Address already in use")[:1],
                    ],
                    f"Stop {entry.get('unit') or entry['program'] or 'it'}, or choose another port in "
                    "slurmrestd_service_listen, and run playbooks/deploy.yml.",
                )


def _collides(entry: Mapping[str, Any], wanted: address.Listener) -> bool:
    """Whether a TCP listener cannot be opened beside what listens already."""
    return wanted.kind == "tcp" and (_covers(entry, wanted) or (wanted.port == entry["port"] and wanted.host in _ANY))


def _is_slurmrestd(host: Host, entry: Mapping[str, Any]) -> bool:
    """Where the process could not be told, its user decides."""
    return entry["pid"] is None and (host["processes"].get("slurmrestd") or {}).get("uid", "") == entry["uid"]


def _slurmctld_range(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        try:
            ports = port_range(host.facts["slurm_conf"]["slurmctld_port"])
        except InputError:
            continue
        for listener, origin in _told(host):
            if listener.kind == "tcp" and listener.port in ports:
                yield Sign(
                    host.name,
                    f"SlurmctldPort covers port {listener.port}, on which slurmrestd is told to listen.",
                    [host.line("slurm_conf", "SlurmctldPort"), f"{origin}: {listener}"],
                    "Choose a port outside SlurmctldPort in slurmrestd_service_listen, or narrow SlurmctldPort.",
                )


def _denied(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        said = host.said("slurmrestd", rf"{_BIND}(?:Permission denied|Read-only file system)")
        if not said or not host.down("slurmrestd"):
            continue
        evidence = said[:1]
        for listener, origin in _told(host):
            if listener.kind == "unix" and listener.path in said[0]:
                facts = host["directories"].get(listener.path, {})
                owner = f"owner {facts.get('owner')}:{facts.get('group')}, mode {facts.get('mode')}"
                evidence += [f"{origin}: {listener}", f"{listener.directory}: {owner}"]
        yield Sign(
            host.name,
            "slurmrestd may not create what it shall listen on: the directory of the socket does not let the service "
            "account write, or its port is one of root's (below 1024).",
            evidence,
            f"{_listen(_allowed(host, listener) for listener, _ in _told(host))}.",
        )


def _allowed(host: Host, listener: address.Listener) -> address.Listener:
    """Near the wanted place, where the service account may listen: its own directory, a port that is not root's."""
    if listener.kind == "unix":
        own = f"/run/{host.rest_unit.replace('@', '-')}"
        return listener if listener.directory == own else replace(listener, path=f"{own}/slurmrestd.socket")
    return listener if listener.port >= _FIRST_PORT else replace(listener, port=address.DEFAULT_PORT)


def _socket_directory(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        for listener, origin in _told(host):
            facts = host["directories"].get(listener.path)
            if listener.kind != "unix" or facts is None or facts["exists"] or _made_by_systemd(host, listener):
                continue
            run = listener.directory.startswith(("/run/", "/var/run/"))
            cause = f"{listener.directory} is not there" + (
                ": /run is empty after a boot, and nothing makes the directory anew." if run else "."
            )
            said = host.said("slurmrestd", r"No such file or directory")
            yield Sign(
                host.name,
                cause,
                [f"{origin}: {listener}", f"{listener.directory} does not exist", *said[:1]],
                f"{DEPLOY} states RuntimeDirectory=, which makes it with every start.",
            )


def _made_by_systemd(host: Host, listener: address.Listener) -> bool:
    """RuntimeDirectory= makes it with every start, and removes it when the daemon ends."""
    return any(f"{listener.directory}/".startswith(f"{made}/") for made in host["runtime_directories"]) and host.down(
        "slurmrestd"
    )


def _elsewhere(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        if host.down("slurmrestd"):
            continue
        there = [entry for entry in host["listening"] if entry["program"] in ("slurmrestd", None)]
        for text in host.expected if there else ():
            wanted = spelling.read(text)
            if wanted and not any(_covers(entry, wanted) for entry in there):
                actual = [listener.format() for listener, _ in _told(host)]
                yield Sign(
                    host.name,
                    f"Clients are told {text}, but slurmrestd does not listen there.",
                    [f"slurmrest_doctor_listen has {text}"]
                    + [f"{origin}: {listener}" for listener, origin in _told(host)],
                    f"Tell clients {', '.join(actual)}, or set "
                    f"{variables({'slurmrestd_service_listen': host.expected})}, "
                    f"then {DEPLOY}",
                )


def _covers(entry: Mapping[str, Any], wanted: address.Listener) -> bool:
    """Whether a socket of this host is what is wanted. It does not show whether it speaks TLS."""
    if wanted.path or entry["kind"] != wanted.kind:
        return bool(wanted.path and entry["path"] == wanted.path)
    there = address.Listener(wanted.scheme, host=entry["host"], port=entry["port"])
    named = wanted.address is None and not there.is_any  # a name: any address may be its
    return listeners.covers(there, wanted) or (named and there.port == wanted.port)


def _waiting(cluster: Cluster) -> Iterator[Sign]:
    """It runs, is told to listen, and has no listener at all: it still waits for something, or hangs."""
    for host in cluster.rest:
        told = _told(host)
        own = [entry for entry in host["listening"] if entry["program"] in ("slurmrestd", None)]
        if host.down("slurmrestd") or own or not told or not host["units"].get("slurmrestd"):
            continue
        said = host.said("slurmrestd", r"retrying|cannot stat|unable to (?:stat|open|read)", runs=1)
        yield Sign(
            host.name,
            "slurmrestd runs and does not listen anywhere yet: it opens its listeners once it has read its "
            "configuration, for which it tries up to 60 s.",
            [*said[:2], *(f"{origin}: {listener}" for listener, origin in told[:2])],
            f"See what it waits for (journalctl -u {host.rest_unit}), and restart it once that is there.",
        )


def _without_accounting(cluster: Cluster) -> Iterator[Sign]:
    for host in cluster.rest:
        said = host.said("slurmrestd", r"not configured with slurmdbd|Failure loading plugin path bindings")
        release = host.release
        if said and host.down("slurmrestd"):
            needed = release.openapi_without_accounting if release else None
            yield Sign(
                host.name,
                "slurm.conf names no slurmdbd, and without being told so slurmrestd loads the plugin that needs it.",
                [host.line("slurm_conf", "AccountingStorageType"), said[0]],
                f"{DEPLOY} passes -s {needed} where there is no accounting (slurmrestd_service_accounting).",
            )


RULES = (
    Rule(
        "account-root",
        "slurmrestd runs as root",
        "rest_quickstart.html, Create user; slurmrestd(8), Security",
        _account("root", "The unit runs slurmrestd as root, which it refuses: it would be root's door to the cluster."),
        explains=STARTS,
        fatals=_IDENTITY,
    ),
    Rule(
        "account-slurm-user",
        "slurmrestd runs as SlurmUser",
        "rest_quickstart.html, Create user; slurmrestd(8), Security",
        _account("slurm-user", "The unit runs slurmrestd as SlurmUser, who owns the cluster."),
        explains=STARTS,
        fatals=_IDENTITY,
    ),
    Rule(
        "account-slurm-group",
        "slurmrestd runs with SlurmUser's group",
        "rest_quickstart.html, Create user; slurmrestd(8), Security",
        _account("slurm-group", "The unit gives slurmrestd a group that may read Slurm's secrets."),
        explains=STARTS,
        fatals=_IDENTITY,
    ),
    Rule(
        "account-nobody",
        "slurmrestd runs as nobody",
        "rest_quickstart.html, Create user",
        _account("nobody", "The unit runs slurmrestd as nobody, whom Slurm treats as an unknown user."),
        explains=STARTS,
        fatals=_IDENTITY,
    ),
    Rule(
        "account-missing",
        "The service account does not exist",
        "rest_quickstart.html, Create user",
        _account("missing", "The unit names an account that is not on this host."),
        explains=STARTS,
        fatals=_IDENTITY,
    ),
    Rule(
        "account-extra-groups",
        "The service account is in other groups",
        "rest_quickstart.html, Create user; slurmrestd(8), Security",
        _extra_groups,
        explains=STARTS,
        fatals=_IDENTITY,
    ),
    Rule(
        "accounting-plugin",
        "slurmrestd loads the plugin for slurmdbd, and there is none",
        "rest_quickstart.html, Basic Setup",
        _without_accounting,
        explains=STARTS,
        fatals=r"not configured with slurmdbd|Failure loading plugin path bindings",
    ),
    Rule(
        "sandbox-refused",
        "systemd cannot confine slurmrestd here",
        "systemd.exec(5), Process Exit Codes",
        _unconfinable,
        explains=STARTS,
        by_hand="which directive the host refuses is in systemd's words, and what to give up is the site's choice",
    ),
    Rule(
        "unshare-denied",
        "unshare(2) is forbidden",
        "slurmrestd(8), SLURMRESTD_SECURITY",
        _unshare,
        explains=STARTS,
        fatals=r"Unable to unshare",
    ),
    Rule(
        "port-in-slurmctld-range",
        "The port of slurmrestd lies in SlurmctldPort",
        "slurm.conf(5), SlurmctldPort",
        _slurmctld_range,
        explains=(*DOWN, "port-taken", "token-refused", "token-not-minted", "slurmctld-failed", "daemon-unreached"),
        fatals=_IN_USE,
        by_hand="clients and firewalls have to know another port",
    ),
    Rule(
        "port-taken",
        "Another process has the port",
        QUICK_START,
        _taken,
        explains=(*DOWN, "listens-elsewhere", "token-refused"),
        fatals=_IN_USE,
        preflight=True,
        by_hand="what the other program is for is not seen here",
    ),
    Rule("listener-duplicate", "Two listeners exclude each other", QUICK_START, _clash, explains=DOWN, fatals=_IN_USE),
    Rule(
        "socket-directory-missing",
        "The directory of the socket is gone",
        QUICK_START,
        _socket_directory,
        explains=STARTS,
        fatals=rf"{_BIND}No such file",
    ),
    Rule("bind-permission", "slurmrestd may not bind its listener", QUICK_START, _denied, explains=DOWN, fatals=_BIND),
    Rule(
        "slurm-jwt-not-daemon",
        "SLURM_JWT is not set to daemon",
        "rest_quickstart.html, Common Issues; slurmrestd(8), SLURM_JWT",
        _jwt_variable,
        explains=("token-refused", "accounting-refused", "foreign-dropin"),
    ),
    Rule(
        "auth-plugin-not-named",
        "slurmrestd is not told how to know its clients",
        "slurmrestd(8), -a; rest_quickstart.html, Customization",
        _plugin_not_named,
        explains=("token-refused", "accounting-refused"),
    ),
    Rule(
        "not-listening",
        "slurmrestd does not listen yet",
        QUICK_START,
        _waiting,
        explains=("listener-silent", "listens-elsewhere"),
        passing=True,
        by_hand="what it waits for is in its own words",
    ),
    Rule(
        "listens-elsewhere",
        "slurmrestd listens elsewhere",
        QUICK_START,
        _elsewhere,
        explains=("listener-silent",),
        passing=True,
    ),
)
