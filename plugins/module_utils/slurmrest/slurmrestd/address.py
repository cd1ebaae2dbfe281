"""One address of slurmrestd: what it binds, and where a client asks (:class:`..rest.client.Target` is one of them)."""

from __future__ import annotations

import ipaddress
import posixpath
from dataclasses import asdict, dataclass
from typing import Any

VARIABLE = "slurmrestd_service_listen"
"""Of the roles: the listeners."""

DEFAULT_PORT = 6820

SUN_PATH_MAX = 107
"""Longest path of a UNIX socket in bytes: sockaddr_un.sun_path has 108, the last is the terminating zero (unix(7))."""


@dataclass(frozen=True)
class Listener:
    """One address that slurmrestd binds. ``host`` has no brackets and is empty for "any"; ``path`` is empty for TCP."""

    scheme: str  # "http", "https" or "unix"
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def kind(self) -> str:
        """What it is to the kernel: ``tcp`` or ``unix``."""
        return "unix" if self.scheme == "unix" else "tcp"

    @property
    def is_tls(self) -> bool:
        """Whether it speaks TLS only."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """``host:port`` as in a URL; empty for UNIX."""
        if self.kind == "unix":
            return ""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def format(self) -> str:
        """The portable spelling; :func:`parse` reads it back."""
        if self.kind == "unix":
            return f"unix:{self.path}"
        return f"https://{self.authority}" if self.is_tls else self.authority

    def __str__(self) -> str:
        return self.format()

    def as_dict(self) -> dict[str, Any]:
        """JSON-able: the fields, ``text`` in the portable spelling, ``loopback`` and ``public``."""
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
        if self.kind == "unix":
            return self.format()
        return f"{self.scheme}://127.0.0.1:{self.port}" if self.is_any else f"{self.scheme}://{self.authority}"

    @property
    def directory(self) -> str:
        """The directory of a UNIX socket, which decides who can reach it; empty for TCP."""
        return posixpath.dirname(self.path)
