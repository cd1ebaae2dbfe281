"""Causes at the gateway: nginx, its certificate and limits, the way to slurmrestd, and the key that signs for logins.

One gateway gives one sign of each rule at most. What another rule says of slurmrestd itself is not said again here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .model import Rule, Sign
from .remedies import DEPLOY, DEPLOY_RESTARTING, join, on

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .model import Cluster, Host

NEAR_DAYS = 14
"""Whoever renews certificates by himself does so earlier."""

LOOP = 30
"""Refusals of one client within :data:`.gateway.LOOP_SECONDS`, with nothing else answered, that are no mistyping."""

PLAY = "`ansible-playbook playbooks/gateway.yml`"
_LIMIT = "/etc/systemd/system/nginx.service.d/zz-limit.conf"
_RELOAD = "`systemctl reload nginx`"
_ACTIVE = ("active", "reloading", "activating")


def _gateways(cluster: Cluster) -> Iterator[tuple[Host, Mapping[str, Any]]]:
    for host in cluster.hosts:
        if host.evidence.get("gateway"):
            yield host, host["gateway"]


def _active(gateway: Mapping[str, Any], unit: str) -> bool:
    return (gateway["units"].get(unit) or {}).get("active") in _ACTIVE


def _answering(cluster: Cluster) -> Iterator[tuple[Host, Mapping[str, Any]]]:
    """Gateways that answer over TLS."""
    for host, gateway in _gateways(cluster):
        if _active(gateway, "nginx.service") and gateway["served"]["status"] is not None:
            yield host, gateway


def _stopped(cluster: Cluster) -> Iterator[Sign]:
    for host, gateway in _gateways(cluster):
        served, unit = gateway["served"], gateway["units"].get("nginx.service") or {}
        if served["status"] is not None:
            continue
        runs = _active(gateway, "nginx.service")
        # systemd starts it again and again where it ends over its configuration.
        refused = gateway["said"] if unit.get("active") in ("activating", "failed") else []
        yield Sign(
            host.name,
            f"nginx ends over its configuration: {refused[-1]}"
            if refused
            else f"nginx gives no answer at {served['address']}."
            if runs
            else "nginx does not run, and with it no gateway.",
            [
                f"systemctl is-active nginx: {unit.get('active') or 'unknown'}",
                f"TLS to {served['address']}: {served['error'] or 'no answer of HTTP'}",
                *refused,
            ],
            "Mend what nginx -t says; then systemctl restart nginx."
            if refused
            else "`systemctl reset-failed nginx; systemctl enable nginx; systemctl restart nginx`",
        )


def _not_loaded(cluster: Cluster) -> Iterator[Sign]:
    for host, gateway in _answering(cluster):
        served, told = gateway["served"], gateway["told"]
        if served["revision"].rstrip("+") not in ("", told["revision"]):
            yield Sign(
                host.name,
                f"nginx serves another configuration than {gateway['site']} says, which was changed since.",
                [f"served: {served['revision']}, in the file: {told['revision']}", *gateway["said"]],
                f"{PLAY}, then {_RELOAD}",
            )


def _certificate(cluster: Cluster) -> Iterator[Sign]:
    for host, gateway in _gateways(cluster):
        found = gateway["certificate"]
        near = found["days"] is not None and found["days"] < NEAR_DAYS
        if found["error"] or near:
            yield Sign(
                host.name,
                f"Clients refuse the gateway's certificate: {found['error'].rstrip('.')}."
                if found["error"]
                else f"The gateway's certificate ends in {found['days']:.0f} days, and clients refuse it then.",
                [
                    f"{found['path']}: {found['error'] or 'valid until ' + found['until']}",
                    f"clients ask for {gateway['told']['name']}",
                ],
                f"Get one for {gateway['told']['name']}, put it into {found['path']} with its key in "
                f"{gateway['told']['key']}, and reload nginx (systemctl reload nginx).",
            )


def _former_certificate(cluster: Cluster) -> Iterator[Sign]:
    for host, gateway in _answering(cluster):
        if gateway["served"]["same_certificate"] is False and not gateway["certificate"]["error"]:
            yield Sign(
                host.name,
                "The certificate was renewed, and nginx serves the former one: it reads it when it is reloaded.",
                [f"what {gateway['served']['address']} shows is not what is in {gateway['certificate']['path']}"],
                _RELOAD,
            )


def _upstream(cluster: Cluster) -> Iterator[Sign]:
    for host, gateway in _gateways(cluster):
        lost = [entry for entry in gateway["hosts"] if entry["error"] and not entry["closed"]]
        down = any(rest.down("slurmrestd") or _mute(rest) for rest in cluster.rest)
        if lost and not down:
            yield Sign(
                host.name,
                f"The gateway asks for slurmrestd where it is not: {', '.join(entry['host'] for entry in lost)}.",
                [f"connect to {entry['host']}: {entry['error']}" for entry in lost],
                f"{PLAY} where slurmrest_gateway_upstreams or slurmrestd_service_listen say where it is; `systemctl "
                "restart nginx`",
            )


def _mute(host: Host) -> bool:
    """Whether a listener of this slurmrestd gives no answer, which other rules explain."""
    return any(entry["status"] is None for entry in host.http.get("listeners") or ())


def _closed(cluster: Cluster) -> Iterator[Sign]:
    for host, gateway in _gateways(cluster):
        shut = [entry for entry in gateway["hosts"] if entry["closed"]]
        if shut:
            account = gateway["account"]["name"]
            yield Sign(
                host.name,
                f"nginx runs as {account}, which may not use slurmrestd's socket.",
                [f"{entry['host']}: {account} is kept out by {entry['closed']}" for entry in shut],
                f"`slurmrestd_service_socket_group: {gateway['account']['group']}`, {DEPLOY}, then `systemctl restart "
                "nginx`",
            )


def _places(cluster: Cluster) -> Iterator[Sign]:
    for host, gateway in _gateways(cluster):
        cache, account = gateway["told"]["cache"], gateway["account"]
        wrong = []
        for place in gateway["places"]:
            if not place["exists"]:
                wrong.append(f"{place['path']}: {place.get('error') or 'no directory'}")
            elif place["path"] == cache and place["mode"] != "0700":
                wrong.append(f"{cache}: mode {place['mode']}, and answers in it hold their users' tokens")
            elif place["path"] == cache and account and place["owner"] != account["name"]:
                wrong.append(f"{cache}: {place['owner']}'s, and nginx runs as {account['name']}")
        if wrong:
            yield Sign(
                host.name,
                "The directories in which the gateway keeps answers and its inner sockets are not as they have to be.",
                wrong,
                f"{PLAY}, then `systemctl restart nginx`",
            )


def _limit(cluster: Cluster) -> Iterator[Sign]:
    for host, gateway in _gateways(cluster):
        most, wanted = gateway["files"], gateway["connections"]
        if 0 < most < wanted:
            yield Sign(
                host.name,
                f"A worker of nginx may open {most} files, and {wanted} connections: beyond that it refuses clients.",
                [f"/proc/PID/limits of a worker: Max open files {most}", f"nginx.conf: worker_connections {wanted}"],
                f"`printf '[Service]\\nLimitNOFILE={4 * wanted}\\n' > {_LIMIT}; systemctl daemon-reload; systemctl "
                "restart nginx`",
            )


def _identity(cluster: Cluster) -> Iterator[Sign]:
    for host, gateway in _gateways(cluster):
        found = gateway["identity"]
        if found and not found["signs"]:
            names = ["slurmrest-identity.socket", "slurmrest-identity.service"]
            states = [
                f"systemctl is-active {name}: {(gateway['units'].get(name) or {}).get('active')}" for name in names
            ]
            yield Sign(
                host.name,
                "The identity service does not answer: nobody can log in, and who has is refused (503).",
                [found["error"] or "it does not say which key it signs with", *states],
                f"{PLAY}, then `systemctl reset-failed {' '.join(names)}; systemctl restart {' '.join(names)}`",
            )


def _key(cluster: Cluster) -> Iterator[Sign]:
    for host, gateway in _gateways(cluster):
        found = gateway["identity"]
        if not found or not found["answered"] or not found["said"]:
            continue
        if not _tokens_work(cluster):
            continue  # then it is not this key alone
        sets = [(other, other.evidence["taken"]) for other in cluster.hosts if other.evidence.get("taken")]
        without = [(other, seen) for other, seen in sets if found["holds"] not in seen["kids"]]
        if without or not sets:
            why = "it is not in the cluster's set of keys"
            remedy = DEPLOY_RESTARTING
        else:
            why = "the set that has it was not loaded"
            remedy = join(
                on([other.name], "systemctl restart slurmctld") for other, _ in sets if "slurmctld" in other.roles
            )
        yield Sign(
            host.name,
            f"slurmctld refuses what the gateway signs for who has logged in: {why}.",
            [
                f"a token of {found['holds']}: {found['said']}",
                *(f"{other.name}: {seen['path']} has {_listed(seen)}" for other, seen in without),
            ],
            remedy,
        )


def _listed(seen: Mapping[str, Any]) -> str:
    return ", ".join(seen["kids"]) or seen["error"] or "no key"


def _tokens_work(cluster: Cluster) -> bool:
    """Whether other tokens are taken, as far as anybody has asked; nobody does where slurmctld does not run."""
    asked = [host.http["diag"] for host in cluster.rest if host.http.get("diag")]
    if asked:
        return any(entry["good"] for entry in asked)
    lost = [host for host in cluster.hosts if host.evidence.get("token_refused")]
    return not lost and not any(host.down("slurmctld") for host in cluster.role("slurmctld"))


def _loop(cluster: Cluster) -> Iterator[Sign]:
    for host, gateway in _answering(cluster):
        stuck: Sequence[Mapping[str, Any]] = [
            one for one in gateway["refused"] if one["refused"] >= LOOP and one["refused"] > 10 * one["others"]
        ]
        if stuck and not (gateway["identity"] or {}).get("said"):
            what = "a session that has ended" if gateway["identity"] else "a token that has expired"
            yield Sign(
                host.name,
                f"A client asks again and again with credentials that are none, such as {what}.",
                [
                    f"{one['client']}: {one['refused']} times 401 in two minutes, last for {one['path']}"
                    for one in stuck
                ],
                "Look at that client: it has to log in, or to get another token, when it is answered 401.",
            )


_SYMPTOMS = ("gateway-refuses-on-and-on",)

RULES = (
    Rule(
        "gateway-stopped",
        "The gateway's nginx does not answer",
        "docs/gateway.md",
        _stopped,
        explains=_SYMPTOMS,
        by_hand="what nginx does not take is in the site's own files",
    ),
    Rule(
        "gateway-not-loaded",
        "nginx has not loaded the gateway's configuration",
        "nginx(8), -s reload",
        _not_loaded,
    ),
    Rule(
        "gateway-certificate",
        "The gateway's certificate is none for its clients, or soon will be",
        "docs/gateway.md",
        _certificate,
        by_hand="certificates are the site's to get",
    ),
    Rule(
        "gateway-certificate-former",
        "nginx serves a certificate that was replaced",
        "nginx(8), -s reload",
        _former_certificate,
    ),
    Rule(
        "gateway-upstream",
        "The gateway does not reach slurmrestd",
        "docs/gateway.md",
        _upstream,
        anywhere=True,
    ),
    Rule(
        "gateway-socket-closed",
        "nginx may not use slurmrestd's socket",
        "docs/gateway.md",
        _closed,
    ),
    Rule(
        "gateway-directories",
        "The gateway's directories are missing, or another account's",
        "tmpfiles.d(5)",
        _places,
        explains=("gateway-stopped",),
    ),
    Rule(
        "gateway-descriptors",
        "nginx may open fewer files than it may have connections",
        "systemd.exec(5), LimitNOFILE=",
        _limit,
    ),
    Rule(
        "gateway-identity",
        "The identity service of the gateway does not answer",
        "docs/gateway.md, Logins",
        _identity,
        explains=_SYMPTOMS,
    ),
    Rule(
        "gateway-key-refused",
        "slurmctld does not take what the gateway signs",
        "docs/gateway.md, Logins; docs/jwks.md",
        _key,
        explains=_SYMPTOMS,
    ),
    Rule(
        "gateway-refuses-on-and-on",
        "A client of the gateway asks again and again without good credentials",
        "docs/gateway.md, For clients",
        _loop,
        by_hand="the client is somebody else's",
    ),
)
