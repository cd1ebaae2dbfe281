"""Ask one path with many clients for some seconds; runs in the REST node with the standard library alone.

Arguments: see ``--help``. Standard input: the user, tokens with a blank between them, which the clients take in turns,
and a body, which makes the requests POST. Prints one JSON object: requests, failures and their kinds, seconds, and the
50th and 99th percentile of good answers in milliseconds.

The sockets are read and written here, without an HTTP library: the clients share the processors with the daemon.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import socket
import ssl
import sys
import threading
import time

ANSWER_SECONDS = 20.0
BUSY = "429"
BUSY_SECONDS = 1.0
"""How long whoever was told to come back waits, as gateways ask for with ``Retry-After: 1``."""

PIECE = 1 << 18
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
LAST = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


class Refused(Exception):
    """An answer that is not 200, or none."""


class Gone(Refused):
    """The daemon had closed the connection before it saw the request."""


class Client:
    """One connection at a time, kept as long as the daemon keeps it; over TLS where there is a context."""

    def __init__(
        self, address: str, request: bytes, patience: float = ANSWER_SECONDS, tls: ssl.SSLContext | None = None
    ) -> None:
        self._address, self._request, self._patience, self._tls = address, request, patience, tls
        self._link: socket.socket | None = None
        self._memory = bytearray(PIECE)

    def ask(self) -> None:
        """Send the request and read the answer. Raises Refused, OSError.

        Where a kept connection turns out to be closed, the request goes over a new one, as HTTP clients do it.
        """
        if self._link is not None:
            try:
                self._exchange(self._link)
            except Gone:
                self.close()
            else:
                return
        self._link = self._connect()
        self._exchange(self._link)

    def _exchange(self, link: socket.socket) -> None:
        try:
            link.sendall(self._request)
            data = link.recv(PIECE)
        except ConnectionError:
            raise Gone("closed") from None
        if not data:
            raise Gone("closed")
        while b"\r\n\r\n" not in data:
            data += _read(link)
        head, _, body = data.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        missing = int(length[1]) - len(body) if length else 0
        while missing > 0:
            # Into the same memory: over TLS a piece is one record, and each time new memory would cost more than it.
            received = link.recv_into(self._memory)
            if not received:
                raise Refused("cut off")
            missing -= received
        if LAST.search(head):
            self.close()
        status = head[9:12].decode("ascii", "replace")
        if status != "200":
            raise Refused(status)

    def close(self) -> None:
        """End the connection."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def _connect(self) -> socket.socket:
        if self._address.startswith("unix:"):
            link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            target: str | tuple[str, int] = self._address[5:]
        else:
            host, _, port = self._address.rpartition(":")
            link = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            target = (host, int(port))
        link.settimeout(self._patience)
        try:
            link.connect(target)
            return self._tls.wrap_socket(link, server_hostname=target[0]) if self._tls else link
        except OSError:
            link.close()
            raise


def _read(link: socket.socket) -> bytes:
    data = link.recv(PIECE)
    if not data:
        raise Refused("cut off")
    return data


def run(client: Client, until: float, numbers: itertools.count[int], most: int) -> tuple[list[float], list[str]]:
    """Ask until a time of the monotonic clock, or until all clients together have asked often enough.

    Returns the seconds of good answers, and the kinds of the others.
    """
    taken: list[float] = []
    failed: list[str] = []
    while time.monotonic() < until and next(numbers) < most:
        begin = time.monotonic()
        try:
            client.ask()
            taken.append(time.monotonic() - begin)
        except (OSError, Refused) as error:
            failed.append(str(error) if isinstance(error, Refused) else type(error).__name__)
            client.close()
            if failed[-1] == BUSY:
                time.sleep(BUSY_SECONDS)
    client.close()
    return taken, failed


def request(path: str, user: str, token: str, body: str, *, fresh: bool = False) -> bytes:
    """Return a whole request; a fresh one is answered by slurmrestd, whatever a gateway has kept."""
    lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", "Host: localhost", "Accept: application/json"]
    lines += [f"X-SLURM-USER-NAME: {user}", f"X-SLURM-USER-TOKEN: {token}"]
    if fresh:
        lines += ["Cache-Control: no-cache"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body.encode())}"]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def arguments(argv: list[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address", help="host:port or unix:/path")
    parser.add_argument("path")
    parser.add_argument("clients", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--most", type=int, default=sys.maxsize, help="requests after which to end even before that")
    parser.add_argument("--patience", type=float, default=ANSWER_SECONDS, help="seconds after which a client gives up")
    parser.add_argument("--fresh", action="store_true", help="ask slurmrestd, whatever a gateway has kept")
    parser.add_argument("--cacert", help="speak TLS, with a certificate that this authority signed")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Run the clients."""
    how = arguments(argv)
    tls = ssl.create_default_context(cafile=how.cacert) if how.cacert else None
    user, words, body = (sys.stdin.readline().strip() for _ in range(3))
    asked = [request(how.path, user, token, body, fresh=how.fresh) for token in words.split()]
    numbers = itertools.count()
    begin = time.monotonic()
    results: list[tuple[list[float], list[str]]] = []

    def one(number: int) -> None:
        client = Client(how.address, asked[number % len(asked)], how.patience, tls)
        results.append(run(client, begin + how.seconds, numbers, how.most))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(how.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = sorted(itertools.chain.from_iterable(good for good, _ in results))
    failed = list(itertools.chain.from_iterable(bad for _, bad in results))
    found = {
        "requests": len(taken),
        "failures": len(failed),
        "kinds": sorted(set(failed)),
        "seconds": round(time.monotonic() - begin, 3),
        "p50": round(1000 * taken[len(taken) // 2], 2) if taken else None,
        "p99": round(1000 * taken[len(taken) * 99 // 100], 2) if taken else None,
    }
    print(json.dumps(found))  # noqa: T201 - this is what the caller reads


if __name__ == "__main__":
    main(sys.argv[1:])
