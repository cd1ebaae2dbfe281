"""Reading an address in any spelling that some release of slurmrestd takes. Pure."""

from __future__ import annotations

import ipaddress
import re

from .address import KINDS, Listener, scheme_of

TCP = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:\[\]/]*)):(?P<port>[0-9]+)")


def read(text: str) -> Listener | None:
    """What slurmrestd would make of ``text``, in any spelling that some release takes; None if it is no listener."""
    text, scheme = text.strip(), "http"
    for prefix in ("http", "https"):
        if text.startswith(f"{prefix}://"):
            text, scheme = text[len(f"{prefix}://") :].rstrip("/"), prefix
    kind = KINDS[scheme_of(text)]
    if kind.kernel != "tcp":
        text, scheme = text[len(kind.prefix) :], scheme_of(text)
    if scheme == "unix":
        return Listener(scheme, path=re.sub("^/+", "/", text)) if text.startswith("/") else None
    match = TCP.fullmatch(text)
    if match is None or not 0 < int(match["port"]) <= 65535:
        return None
    return Listener(
        scheme, host=canonical(match["v6"] if match["v6"] is not None else match["host"]), port=int(match["port"])
    )


def canonical(host: str) -> str:
    """Addresses in their shortest form, names in lower case."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.lower()
