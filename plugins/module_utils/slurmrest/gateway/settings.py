"""What a gateway is told, judged word by word, as its template writes it into nginx's configuration.

Pure: variables go in, :class:`Settings` or problems come out. Whatever reaches nginx.conf is one of a few forms without
white space, quotes, ``;``, braces, ``$``, backslashes and line ends, so that no value can end a directive.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from ..errors import InputError
from ..slurmrestd import address, listeners
from ..slurmrestd.address import Listener
from .logins import Logins, logins
from .values import PREFIX, number, one_of, path, plain, several, size

LISTEN = PREFIX + "listen"
NAME = PREFIX + "name"
CERTIFICATE = PREFIX + "certificate"
CERTIFICATE_KEY = PREFIX + "certificate_key"
UPSTREAMS = PREFIX + "upstreams"
PLAIN = PREFIX + "plain_acknowledged"
ORIGINS = PREFIX + "origins"
PAGES = PREFIX + "pages"
CLIENTS = PREFIX + "clients"
LISTS = PREFIX + "lists_at_once"
CACHE = PREFIX + "cache_seconds"
CLUSTERS = PREFIX + "clusters"
STATUS = PREFIX + "status"

TLS_VERSIONS = {"1.2": "TLSv1.2 TLSv1.3", "1.3": "TLSv1.3"}
LEAST_THREADS = 4
"""Threads of a slurmrestd whose number nobody set: role slurmrestd_service gives none fewer."""

POOL = 64
"""Idle connections to slurmrestd that all workers together keep, about: some releases serve 124 and no more."""

_BODY_LIMIT = 50 << 20
_CLUSTER = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class FurtherCluster:
    """One more cluster, below ``/cluster/NAME``; the rest as in :class:`Settings`."""

    name: str
    hosts: tuple[str, ...]
    answer_seconds: int


@dataclass(frozen=True)
class Settings:
    """A gateway as its template needs it: ``hosts`` are what nginx calls servers of an upstream group, seconds are s.

    ``answer_seconds`` is the patience for an ordinary answer before another host is asked, ``list_seconds`` that for
    lists, and for all where there is one host only. ``clusters`` are those beside the one that has no name here.
    """

    name: str
    listen: tuple[str, ...]
    certificate: str
    certificate_key: str
    tls: str
    hosts: tuple[str, ...]
    origins: tuple[str, ...]
    pages: str
    clients: tuple[str, ...]
    cache_seconds: int
    cache_size: str
    rate: int
    burst: int
    lists: int
    user_lists: int
    connections: int
    body_size: str
    answer_seconds: int
    list_seconds: int
    clusters: tuple[FurtherCluster, ...]
    status: str
    logins: Logins

    @property
    def all_hosts(self) -> tuple[str, ...]:
        """Those of all clusters."""
        return (*self.hosts, *(host for cluster in self.clusters for host in cluster.hosts))


def settle(variables: Mapping[str, Any], threads: Iterable[int] = ()) -> Settings:
    """Read the role's variables.

    Args:
        variables: the variables of role ``slurmrest_gateway`` by name, all of them.
        threads: of each REST host, 0 where the site does not say how many.

    Raises:
        InputError: the first value that is refused.
    """
    listen = several(variables, LISTEN, _listen)
    hosts = several(variables, UPSTREAMS, _upstream)
    further = _clusters(variables.get(CLUSTERS), hosts)
    _acknowledge([host for served in (hosts, *further.values()) for host in served], variables.get(PLAIN))
    lists = number(variables, LISTS, 1, 1000)
    fewest = min((count or LEAST_THREADS for count in threads), default=LEAST_THREADS)
    if lists >= fewest:
        raise InputError(LISTS, lists, f"1 to {fewest - 1}", _starved(fewest))
    patience = number(variables, PREFIX + "list_timeout", 1, 3600)
    answer = number(variables, PREFIX + "timeout", 1, 3600)

    def patience_of(served: Sequence[Listener]) -> int:
        return answer if len(served) > 1 else patience

    return Settings(
        name=_name(variables.get(NAME)),
        listen=tuple(map(str, listen)),
        certificate=path(variables, CERTIFICATE),
        certificate_key=path(variables, CERTIFICATE_KEY),
        tls=TLS_VERSIONS[one_of(variables, PREFIX + "tls_min", tuple(TLS_VERSIONS))],
        hosts=tuple(map(str, hosts)),
        origins=tuple(map(str, several(variables, ORIGINS, _origin, least=0))),
        pages=plain(PAGES, str(variables[PAGES])) if variables.get(PAGES) else "",
        clients=tuple(map(str, several(variables, CLIENTS, _network, least=0))),
        cache_seconds=number(variables, CACHE, 0, 10),
        cache_size=size(variables, PREFIX + "cache_size", 1 << 40),
        rate=number(variables, PREFIX + "rate", 1, 100_000),
        burst=number(variables, PREFIX + "burst", 0, 100_000),
        lists=lists,
        user_lists=max(lists - 1, 1),
        connections=number(variables, PREFIX + "connections", 1, 60_000),
        body_size=size(variables, PREFIX + "body_size", _BODY_LIMIT, said=True),
        answer_seconds=patience_of(hosts),
        list_seconds=patience,
        clusters=tuple(
            FurtherCluster(name, tuple(map(str, told)), patience_of(told)) for name, told in further.items()
        ),
        status=_status(variables.get(STATUS), listen),
        logins=logins(variables, _address(variables.get(NAME), listen[0])),
    )


def as_dict(settings: Settings) -> dict[str, Any]:
    """The same for a template."""
    return asdict(settings)


def upstreams(hosts: Iterable[str], told: Mapping[str, Sequence[str]], here: str) -> list[str]:
    """Where the slurmrestd of each REST host is asked from the host ``here``.

    Args:
        hosts: the REST hosts, by the names under which they are reached.
        told: what each of them listens on, where that is not the default.
        here: the host of the gateway.

    Raises:
        InputError: one of them cannot be reached from there.
    """
    return [_reach(host, told.get(host) or [f"127.0.0.1:{address.DEFAULT_PORT}"], own=host == here) for host in hosts]


def _reach(host: str, told: Sequence[str], *, own: bool) -> str:
    known = [listeners.parse(text) for text in told]
    plain = [entry for entry in known if entry.kind == "tcp" and not entry.is_tls]
    for entry in plain:
        if own and (entry.is_any or entry.is_loopback):
            return f"127.0.0.1:{entry.port}" if entry.is_any else entry.authority
        if not own and entry.is_any:
            return f"[{host}]:{entry.port}" if ":" in host else f"{host}:{entry.port}"
        if not entry.is_loopback:
            return entry.authority
    if own and known and known[0].kind == "unix":
        return str(known[0])
    raise InputError(
        address.VARIABLE,
        ", ".join(told),
        "an address that the gateway reaches, such as 0.0.0.0:6820 with slurmrestd_service_clients",
        f"the gateway is on another host than {host}",
        f"Or name where it is reached: {UPSTREAMS}.",
    )


def _clusters(value: object, first: Sequence[Listener]) -> dict[str, list[Listener]]:
    """The hosts of further clusters by name. Raises InputError, also where an address is that of two clusters."""
    if not isinstance(value, Mapping):
        raise InputError(CLUSTERS, value, "names of clusters, each with the addresses of its REST hosts")
    found: dict[str, list[Listener]] = {}
    known = {str(host): "the first cluster" for host in first}
    for name, told in value.items():
        if not isinstance(name, str) or not _CLUSTER.fullmatch(name):
            reason = "it is a part of the path for clients"
            raise InputError(CLUSTERS, name, "names of lower-case letters, digits, _ and -", reason)
        label = f"{CLUSTERS}, {name}"
        found[name] = several({label: told}, label, _upstream)
        for host in map(str, found[name]):
            if host in known:
                raise InputError(label, host, "addresses of its own", f"it is one of {known[host]}, too")
            known[host] = name
    return found


def _acknowledge(hosts: Sequence[Listener], said: object) -> None:
    clear = [host.format() for host in hosts if host.is_public]
    if clear and said is not True:
        raise InputError(
            PLAIN,
            said,
            f"true, or {UPSTREAMS} and {CLUSTERS} on loopback or a UNIX socket",
            f"tokens travel to {', '.join(clear)} without TLS, for whoever listens on that network to read",
        )


def _starved(threads: int) -> str:
    return f"slurmrestd has {threads} threads, and as many lists of jobs at once leave none for anybody else"


def _listen(name: str, value: object) -> Listener:
    allowed = "address:port or [IPv6 address]:port, such as 0.0.0.0:443"
    try:
        found = listeners.parse(value, name)
    except InputError as error:
        raise InputError(name, value, allowed, error.reason) from None
    if found.kind != "tcp" or found.is_tls or found.address is None or found.host == "localhost":
        raise InputError(name, value, allowed, "a gateway speaks TLS on a TCP port of an address of this host")
    return found


def _status(value: object, listen: Sequence[Listener]) -> str:
    """Where the administrator's page is, on this host alone; empty where there is none."""
    if value in ("", None):
        return ""
    allowed = "a loopback address and a port of its own, such as 127.0.0.1:9820"
    try:
        found = listeners.parse(value, STATUS)
    except InputError as error:
        raise InputError(STATUS, value, allowed, error.reason) from None
    if (
        found.kind != "tcp"
        or found.is_tls
        or found.address is None
        or found.host == "localhost"
        or not found.is_loopback
    ):
        raise InputError(STATUS, value, allowed, "it shows who is on this host how the gateway is used")
    if any(listeners.conflicts([found, one]) for one in listen):
        raise InputError(STATUS, value, allowed, f"clients have it, by {LISTEN}")
    return str(found)


def _upstream(name: str, value: object) -> Listener:
    found = listeners.parse(value, name)
    if found.scheme not in ("http", "unix"):
        raise InputError(name, value, "host:port or unix:/path", "nginx speaks plain HTTP to slurmrestd")
    if found.is_any:
        raise InputError(name, value, "an address to connect to, such as 127.0.0.1:6820", "it means every address")
    if found.kind == "unix":
        plain(name, found.path)
    return found


def _name(value: object) -> str:
    if isinstance(value, str) and listeners.is_host(value) and not _is_address(value):
        return value.lower()
    raise InputError(NAME, value, "the DNS name that clients use, such as slurm.example.org")


def _address(name: object, listener: Listener) -> str:
    """Where browsers reach the gateway, where nobody says otherwise."""
    return f"https://{_name(name)}" + ("" if listener.port == 443 else f":{listener.port}")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _origin(name: str, value: object) -> str:
    allowed = "https://HOST or https://HOST:PORT as browsers send it (http:// on loopback only)"
    if not isinstance(value, str) or not re.fullmatch(r"https?://[a-z0-9.:\[\]-]+", value):
        reason = "every page of the world could use a token" if value in ("*", "null") else None
        raise InputError(name, value, allowed, reason)
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise InputError(name, value, allowed, str(error)) from None
    whole = f"{parts.scheme}://{parts.netloc}"
    if whole != value or not listeners.is_host(host) or value.endswith(":"):
        raise InputError(name, value, allowed, "it has a path, or a host that is none")
    if port == {"http": 80, "https": 443}[parts.scheme]:
        raise InputError(name, value, allowed, "browsers leave the usual port out")
    if parts.scheme == "http" and not Listener("http", host, 1).is_loopback:
        raise InputError(name, value, allowed, "whoever is between could put a script into a page over http")
    return value


def _network(name: str, value: object) -> str:
    reason = listeners.no_network(str(value))
    if reason is not None:
        raise InputError(name, value, "an address or a network, such as 192.0.2.0/24", reason)
    return str(ipaddress.ip_network(str(value)))
