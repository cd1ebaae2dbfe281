"""Requests that no honest client sends, and clients that send none: the daemon survives, and others are served."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import pytest
from slurmrest.rest.client import ClientError
from slurmrest.rest.idle_connection import open_idle

from tests.real.attacks.conftest import ROOT, Attacked

if TYPE_CHECKING:
    import socket

IDLE = 500
BAR_SECONDS = 5.0

TRAVERSALS = [
    "/../../../../etc/passwd",
    "/slurm/../../../../etc/passwd",
    "/slurm/v0.0.42/../../../../etc/passwd",
    "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/..%2f..%2f..%2fetc/passwd",
    "/%252e%252e/%252e%252e/etc/passwd",
    "//etc/passwd",
    "/etc/passwd",
    "/slurm//../etc/passwd",
    "/openapi/../../etc/passwd",
    "http://localhost/etc/passwd",
    "file:///etc/passwd",
    "/slurm/v0.0.42/diag%00/../../etc/passwd",
    "/\\..\\..\\etc\\passwd",
    "*",
]


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("url", TRAVERSALS)
def test_no_url_leads_out(attacked: Attacked, url: str, signed: bool) -> None:
    lines = [f"GET {url} HTTP/1.1", "Host: localhost", "Connection: close"]
    if signed:
        lines += ["X-SLURM-USER-NAME: root", f"X-SLURM-USER-TOKEN: {attacked.token(ROOT).reveal()}"]
    pid = attacked.pid()
    got = attacked.raw("\r\n".join([*lines, "", ""]).encode())
    assert b"root:" not in got
    assert b"/bin/bash" not in got
    assert not got.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2", b"HTTP/1.1 3")), got[:300]
    attacked.good_client()
    assert attacked.pid() == pid


HEAD = b"POST /slurm/v0.0.42/job/submit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
OVERSIZED: dict[str, list[bytes]] = {
    "a URL of 1 MiB": [b"GET /" + b"a" * 2**20 + b" HTTP/1.1\r\n\r\n"],
    "a header of 4 MiB": [b"GET / HTTP/1.1\r\nX-A: ", *[b"a" * 2**16] * 64, b"\r\n\r\n"],
    "50000 headers": [b"GET / HTTP/1.1\r\n", *[b"X-A: b\r\n" * 1000] * 50, b"\r\n"],
    "a line without an end": [b"G" * 2**22],
    "a body of 1 TiB announced": [HEAD, b"Content-Length: 1099511627776\r\n\r\n", b"{"],
    "a body of 64 MiB": [HEAD, b"Content-Length: 67108864\r\n\r\n", *[b'"' + b"a" * (2**16 - 1)] * 1024],
    "a negative length": [HEAD, b"Content-Length: -1\r\n\r\n{}"],
    "a length that overflows": [HEAD, b"Content-Length: 99999999999999999999999999\r\n\r\n{}"],
    "two lengths": [HEAD, b"Content-Length: 2\r\nContent-Length: 2000\r\n\r\n{}"],
    "a length and chunks": [HEAD, b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    "a chunk of 2 GiB": [HEAD, b"Transfer-Encoding: chunked\r\n\r\n7fffffff\r\n{"],
    "deep nesting": [HEAD, b"Content-Length: 200000\r\n\r\n", b"[" * 200000],
    "no HTTP": [bytes(range(256)) * 64],
    "HTTP/2": [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    "TLS": [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)],
    "zeros": [bytes(2**20)],
}


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", list(OVERSIZED))
def test_an_oversized_or_broken_request_harms_nobody_else(attacked: Attacked, name: str, signed: bool) -> None:
    first, *rest = OVERSIZED[name]
    first = first.replace(b"v0.0.42", attacked.api.encode())
    if signed:
        if not first.startswith(b"POST"):
            pytest.skip("it has no place for a token")
        header = f"X-SLURM-USER-NAME: root\r\nX-SLURM-USER-TOKEN: {attacked.token(ROOT).reveal()}\r\n"
        first += header.encode()
    pid = attacked.pid()
    got = attacked.raw(first, *rest)
    assert not got.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2")), got[:300]
    assert attacked.good_client() < BAR_SECONDS
    assert attacked.pid() == pid, "the daemon died of it"


def test_the_daemon_s_memory_stays_bounded(attacked: Attacked) -> None:
    """After all that: what it keeps is no more than a few dozen MiB."""
    kib = int(attacked.ssh("awk '/^VmRSS/ {print $2}' /proc/$(pidof slurmrestd | cut -d' ' -f1)/status"))
    assert kib < 300 * 1024


def idle(attacked: Attacked, connections: contextlib.ExitStack, kind: str) -> None:
    """Hold one more connection: one that never spoke, one that began to, or one that had an answer."""
    if kind == "answered":
        headers = {"X-SLURM-USER-NAME": ROOT, "X-SLURM-USER-TOKEN": attacked.token(ROOT).reveal()}
        kept = open_idle(attacked.target, f"/slurm/{attacked.api}/diag", headers=headers, timeout=BAR_SECONDS)
        connections.enter_context(contextlib.closing(kept))
        return
    connection: socket.socket = connections.enter_context(contextlib.closing(attacked.connect()))
    if kind == "half a request":
        connection.sendall(b"GET /slurm/v0.0.42/diag HTTP/1.1\r\nHost: ")


@pytest.mark.parametrize("kind", ["silent", "half a request", "answered"])
def test_500_idle_connections_do_not_keep_a_good_client_out(attacked: Attacked, kind: str) -> None:
    """Where the release has no limit to set, they do: then a proxy in front is the remedy (docs/security.md)."""
    with contextlib.ExitStack() as connections:
        served = True
        try:
            for _ in range(IDLE):
                idle(attacked, connections, kind)
            waited = attacked.good_client()
        except (ClientError, OSError):
            served = False
        if attacked.release.max_connections_flag:
            assert served, kind
            assert waited < BAR_SECONDS
        else:
            assert not served, f"{kind}: it has no such limit after all; see the release table"
    # Old releases first go through all that are gone: 22.05 took more than half a minute.
    deadline = time.monotonic() + 120
    while True:
        try:
            attacked.good_client()
            break
        except (ClientError, OSError):
            assert time.monotonic() < deadline, "it does not come back when they are gone"
            time.sleep(0.2)
