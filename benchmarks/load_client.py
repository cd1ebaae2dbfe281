"""Ask one path with many clients for some seconds; runs in the REST node with the standard library alone.

Arguments: address (host:port or unix:/path), path, clients, seconds. The token is read from standard input. Prints one
JSON object: requests, failures, seconds, and the 50th and 99th percentile in milliseconds.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
import threading
import time

ANSWER_SECONDS = 30.0


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def connection(address: str) -> http.client.HTTPConnection:
    """Return a connection, not connected yet."""
    if address.startswith("unix:"):
        return UnixConnection(address[5:])
    return http.client.HTTPConnection(address, timeout=ANSWER_SECONDS)


def ask(address: str, path: str, headers: dict[str, str], until: float, found: tuple[list[float], list[str]]) -> None:
    """Send requests over one connection, made anew after a failure, until a time of the monotonic clock.

    What comes of them is added to ``found``: the seconds of good answers, and the kinds of the others.
    """
    taken, failed = found
    link = connection(address)
    while time.monotonic() < until:
        begin = time.monotonic()
        try:
            link.request("GET", path, headers=headers)
            answer = link.getresponse()
            answer.read()
            if answer.status != 200:
                failed.append(str(answer.status))
                continue
            taken.append(time.monotonic() - begin)
        except (OSError, http.client.HTTPException) as error:
            failed.append(type(error).__name__)
            link.close()
            link = connection(address)
    link.close()


def main() -> None:
    """Run the clients."""
    address, path, clients, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    headers = {"X-SLURM-USER-NAME": "root", "X-SLURM-USER-TOKEN": sys.stdin.readline().strip()}
    begin = time.monotonic()
    taken: list[float] = []
    failed: list[str] = []
    threads = [
        threading.Thread(target=ask, args=(address, path, headers, begin + seconds, (taken, failed)))
        for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken.sort()
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
