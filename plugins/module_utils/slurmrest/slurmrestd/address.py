"""One address of slurmrestd: what it binds, and where a client asks (:class:`..rest.client.Target` is one of them)."""

from __future__ import annotations

import ipaddress
import posixpath
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

VARIABLE = "slurmrestd_service_listen"
"""Of the roles: the listeners."""

DEFAULT_PORT = 6820

SUN_PATH_MAX = 107
"""Longest path of a UNIX socket in bytes: sockaddr_un.sun_path has 108, the last is the terminating zero (unix(7))."""


class ListenerKind(NamedTuple):
    """What listeners of one scheme have in common."""

    written: str
    prefix: str
    kernel: str = "tcp"
    since: str = ""  # the column of the release table that has it
    curl: str | None = ""  # its option for a path; None: curl cannot


KINDS = {
    "http": ListenerKind("host:port, [IPv6 address]:port", ""),
    "https": ListenerKind("https://host:port", "https://", since="slurmrestd_https"),
    "unix": ListenerKind("unix:/absolute/path", "unix:", "unix", curl="--unix-socket"),
}
"""By scheme; a test names what else a kind needs."""

WRITTEN = ", ".join(kind.written for kind in KINDS.values())


def scheme_of(text: str) -> str:
    """The scheme of an address in the portable spelling."""
    return next((name for name, kind in KINDS.items() if kind.prefix and text.startswith(kind.prefix)), "http")


@dataclass(frozen=True)
class Listener:
    """One address that slurmrestd binds. ``host`` has no brackets and is empty for "any"; ``path`` is empty for TCP."""

    scheme: str  # of KINDS
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def kind(self) -> str:
        """What it is to the kernel."""
        return KINDS[self.scheme].kernel

    @property
    def is_tls(self) -> bool:
        """Whether it speaks TLS only."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """``host:port`` as in a URL; empty for UNIX."""
        if self.path:
            return ""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def format(self) -> str:
        """The portable spelling; :func:`parse` reads it back."""
        return f"{KINDS[self.scheme].prefix}{self.path or self.authority}"

    def __str__(self) -> str:
        return self.format()

    def as_dict(self) -> dict[str, Any]:
        """The fields and what they mean."""
        seen = {"kind": self.kind, "text": self.format(), "loopback": self.is_loopback, "public": self.is_public}
        return {**asdict(self), **seen}

    @property
    def address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The address when the host is one; ``localhost`` counts as 127.0.0.1, other names give None."""
        host = "127.0.0.1" if self.host.lower() == "localhost" else self.host
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return None
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            return address.ipv4_mapped
        return address

    @property
    def is_any(self) -> bool:
        """Bound to every address of the host."""
        return self.kind == "tcp" and (not self.host or (self.address is not None and self.address.is_unspecified))

    @property
    def is_loopback(self) -> bool:
        """A TCP listener that only this host can reach."""
        return self.kind == "tcp" and self.address is not None and self.address.is_loopback

    @property
    def is_public(self) -> bool:
        """A TCP listener that other hosts may reach."""
        return self.kind == "tcp" and not self.is_loopback

    @property
    def url(self) -> str:
        """Where a client on the same host asks: an address that means "any" is asked on loopback.

        An IPv6 wildcard on 127.0.0.1, too: it takes IPv4 on every release, and is bound to 0.0.0.0 alone where IPv6 is
        not enabled.
        """
        if self.kind != "tcp":
            return self.format()
        return f"{self.scheme}://127.0.0.1:{self.port}" if self.is_any else f"{self.scheme}://{self.authority}"

    @property
    def directory(self) -> str:
        """The directory of a UNIX socket, which decides who can reach it; empty for TCP."""
        return posixpath.dirname(self.path)
