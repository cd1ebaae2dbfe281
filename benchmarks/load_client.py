"""Ask one path with many clients for some seconds; runs in the REST node with the standard library alone.

Arguments: address (host:port or unix:/path), path, clients, seconds, and the number of requests after which to end even
before that. Standard input: the user, the token, and a body, which makes the requests POST. Prints one JSON object:
requests, failures and their kinds, seconds, and the 50th and 99th percentile of good answers in milliseconds.

The sockets are read and written here, without an HTTP library: the clients share the processors with the daemon.
"""

from __future__ import annotations

import itertools
import json
import re
import socket
import sys
import threading
import time

ANSWER_SECONDS = 20.0
PIECE = 1 << 18
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
LAST = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


class Refused(Exception):
    """An answer that is not 200, or none."""


class Gone(Refused):
    """The daemon had closed the connection before it saw the request."""


class Client:
    """One connection at a time, kept as long as the daemon keeps it."""

    def __init__(self, address: str, request: bytes) -> None:
        self._address, self._request = address, request
        self._link: socket.socket | None = None

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
            missing -= len(_read(link))
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
        link.settimeout(ANSWER_SECONDS)
        try:
            link.connect(target)
        except OSError:
            link.close()
            raise
        return link


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
    client.close()
    return taken, failed


def request(path: str, user: str, token: str, body: str) -> bytes:
    """Return a whole request."""
    lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", "Host: localhost", "Accept: application/json"]
    lines += [f"X-SLURM-USER-NAME: {user}", f"X-SLURM-USER-TOKEN: {token}"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body.encode())}"]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def main() -> None:
    """Run the clients."""
    address, path, clients, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    most = int(sys.argv[5]) if len(sys.argv) > 5 else sys.maxsize
    user, token, body = (sys.stdin.readline().strip() for _ in range(3))
    asked = request(path, user, token, body)
    numbers = itertools.count()
    begin = time.monotonic()
    results: list[tuple[list[float], list[str]]] = []

    def one() -> None:
        results.append(run(Client(address, asked), begin + seconds, numbers, most))

    threads = [threading.Thread(target=one) for _ in range(clients)]
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
    main()
