"""Addresses of slurmrestd: what it binds, and where a client asks (:class:`..rest.client.Target` is one of them).

Three spellings are written here: ``host:port`` (an IPv6 address in square brackets) and ``unix:/absolute/path``, which
work the same on every release, and ``https://host:port``, which binds a port that speaks TLS only, where the release
has that. Others that a release accepts (``:6820``, ``unix:///path``, ``http://host:port``) are understood by
:func:`read`, since they stand in units that are already there, and refused by :func:`parse`.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import InputError
from .address import KINDS, SUN_PATH_MAX, VARIABLE, WRITTEN, Listener, scheme_of
from .spelling import TCP, canonical, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ALLOWED = f"{WRITTEN}, such as 127.0.0.1:6820 or unix:/run/slurmrestd/rest.socket"

_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_PATH = re.compile(r"/[A-Za-z0-9_.@+=~/-]*")


@dataclass(frozen=True)
class Conflict:
    """Two listeners that cannot be bound together."""

    first: Listener
    second: Listener
    reason: str


def names_ipv6(listener: Listener) -> bool:
    """Whether it names one IPv6 address."""
    return isinstance(listener.address, ipaddress.IPv6Address) and not listener.is_any


def parse(text: object, variable: str = VARIABLE) -> Listener:
    """Read a listener in the portable spelling.

    Raises:
        InputError: any other spelling, a port outside 1 to 65535, a host that can be no address and no name, a relative
            path, one over :data:`SUN_PATH_MAX` bytes, or one with characters that ``SLURMRESTD_LISTEN`` cannot carry.
    """
    if not isinstance(text, str):
        raise InputError(variable, text, ALLOWED, reason="a listener is a text")
    kind = KINDS[scheme_of(text)].kernel
    if kind == "unix":
        return _parse_unix(text, variable)
    if kind == "tcp":
        return _parse_tcp(text, variable)
    found = read(text)
    if found is None or found.format() != text:
        raise InputError(variable, text, ALLOWED)
    return found


def parse_all(texts: Iterable[object], variable: str = VARIABLE) -> list[Listener]:
    """Read a list of listeners and refuse those that exclude each other; see :func:`parse` and :func:`conflicts`.

    Raises:
        InputError: the first listener or pair that cannot be.
    """
    listeners = [parse(text, variable) for text in texts]
    for conflict in conflicts(listeners):
        value = f"{conflict.first}, {conflict.second}"
        raise InputError(variable, value, "listeners that do not overlap", reason=conflict.reason)
    return listeners


def covers(bound: Listener, other: Listener) -> bool:
    """Whether clients who ask at ``other`` are answered here. Of a host name any address may be the one."""
    if bound.scheme != other.scheme:
        return False
    if bound.kind == "unix":
        return _real(bound.path) == _real(other.path)
    same = bound.is_any or bound.host == other.host or (bound.address is not None and bound.address == other.address)
    return bound.port == other.port and same


def conflicts(listeners: Sequence[Listener]) -> list[Conflict]:
    """Every pair that cannot be bound together, or of which one silently replaces the other.

    An IPv6 wildcard takes IPv4 too on every release: it is bound dual-stack, or to 0.0.0.0 where IPv6 is not enabled.
    A second UNIX socket on the same path unlinks the first. (Source: listeners run on every series.)
    """
    found: list[Conflict] = []
    for index, second in enumerate(listeners):
        for first in listeners[:index]:
            reason = _conflict(first, second)
            if reason is not None:
                found.append(Conflict(first, second, reason))
    return found


def is_host(text: str) -> bool:
    """Whether ``text`` can be a host name, an IPv4 address or, without brackets, an IPv6 address."""
    return _valid_host(text, bracketed=":" in text)


def no_network(text: str) -> str | None:
    """Why ``text`` is no address and no network to filter by; None where it is one."""
    if "%" in text:
        # ipaddress takes anything for the zone of an address, a line end, too.
        return "an address with a zone is none to filter by"
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        return str(error)
    return None


def _parse_unix(text: str, variable: str) -> Listener:
    path = text[len("unix:") :]
    reason = None
    if not path.startswith("/"):
        reason = "the path must be absolute"
    elif path.startswith("//"):
        reason = "'unix://' is read as a host by newer releases"
    elif _PATH.fullmatch(path) is None:
        reason = "the path may hold letters, digits and _ . @ + = ~ - / only"
    elif path != posixpath.normpath(path) or path == "/":
        reason = "the path must name a file, without '..', '.', doubled or trailing slashes"
    elif len(path) > SUN_PATH_MAX:
        reason = f"the path has {len(path)} bytes, and the system takes no more than {SUN_PATH_MAX}"
    if reason is not None:
        raise InputError(variable, text, ALLOWED, reason=reason)
    return Listener("unix", path=path)


def _parse_tcp(text: str, variable: str) -> Listener:
    scheme = "https" if text.startswith("https://") else "http"
    match = TCP.fullmatch(text.removeprefix("https://"))
    host = "" if match is None else match["v6"] if match["v6"] is not None else match["host"]
    reason = None
    if "://" in text.removeprefix("https://"):
        reason = "of the schemes only https:// is taken; plain HTTP is written without one"
    elif match is None:
        reason = "it is not host:port" + (" (an IPv6 address needs square brackets)" if text.count(":") > 1 else "")
    elif not 0 < int(match["port"]) <= 65535 or match["port"].startswith("0"):
        reason = "the port must be from 1 to 65535"
    elif match["v6"] is None and not host:
        port = match["port"]
        reason = f"releases differ in what an empty host binds; write 0.0.0.0:{port} or [::]:{port}"
    elif not _valid_host(host, bracketed=match["v6"] is not None):
        reason = f"{host!r} is neither an IP address nor a host name"
    if reason is not None or match is None:
        raise InputError(variable, text, ALLOWED, reason=reason)
    return Listener(scheme, host=canonical(host), port=int(match["port"]))


def _valid_host(host: str, *, bracketed: bool) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        labels = host.split(".")
        numeric = all(label.isdigit() for label in labels)
        return not bracketed and not numeric and len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
    # A zone index (fe80::1%eth0) does not survive systemd's own reading of '%'.
    return "%" not in host and bracketed == (address.version == 6)


def _conflict(first: Listener, second: Listener) -> str | None:
    if first.kind != second.kind:
        return None
    if first.kind == "unix":
        same = _real(first.path) == _real(second.path)
        return "they are the same socket, and the second would unlink the first" if same else None
    if first.port != second.port:
        return None
    one, two = first.address, second.address
    if first.host == second.host or (one is not None and one == two):
        return "they are the same address"
    for any_, other in ((first, second), (second, first)):
        if any_.is_any and not (any_.address is not None and any_.address.version == 4 and names_ipv6(other)):
            return f"{any_} takes port {any_.port} of every address, so {other} cannot be bound"
    return None


def _real(path: str) -> str:
    """/var/run is a link to /run wherever there is systemd."""
    return path[len("/var") :] if path.startswith("/var/run/") else path
