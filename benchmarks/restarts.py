"""Restart slurmrestd under load, and say what its clients see of it. Runs as root where slurmrestd and slurmctld are.

    ssh HOST sudo python3 - 30 < benchmarks/restarts.py

The argument is the number of restarts (30). Sixteen clients ask over TCP, each request on a connection of its own.
Prints one JSON object: the restarts, the longest time from ``systemctl restart`` to its end, the longest time without a
good answer (both in seconds), the good answers, and the requests that were lost: cut off after they had been sent.
Connections that were refused are counted apart: a client tries those again without harm.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time

CLIENTS = 16
ADDRESS = ("127.0.0.1", 6820)
BETWEEN = 1.0
PATIENCE = 120.0


class Load:
    """Clients that ask until they are told to stop, and what they saw."""

    def __init__(self, path: str, headers: dict[str, str]) -> None:
        self._path, self._headers = path, headers
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._last = time.monotonic()
        self.good = self.lost = self.refused = 0
        self.gap = 0.0
        self._threads = [threading.Thread(target=self._client, daemon=True) for _ in range(CLIENTS)]

    def start(self) -> None:
        """Let the clients begin."""
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Let each client end after its answer."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _client(self) -> None:
        while not self._stop.is_set():
            link = http.client.HTTPConnection(*ADDRESS, timeout=PATIENCE)
            try:
                link.connect()
            except OSError:
                with self._lock:
                    self.refused += 1
                time.sleep(0.01)
                continue
            try:
                link.request("GET", self._path, headers=self._headers)
                answer = link.getresponse()
                answer.read()
                good = answer.status == 200
            except (OSError, http.client.HTTPException):
                good = False
            finally:
                link.close()
            with self._lock:
                now = time.monotonic()
                if good:
                    self.gap, self._last, self.good = max(self.gap, now - self._last), now, self.good + 1
                else:
                    self.lost += 1


def said(*command: str) -> str:
    """What a program prints. Raises CalledProcessError."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def main() -> None:
    """Measure."""
    restarts = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    headers = {"X-SLURM-USER-NAME": "root", "Connection": "close"}
    headers["X-SLURM-USER-TOKEN"] = said("scontrol", "token", "lifespan=3600").strip().partition("=")[2]
    link = http.client.HTTPConnection(*ADDRESS, timeout=PATIENCE)
    link.request("GET", "/openapi/v3", headers=headers)
    paths = json.loads(link.getresponse().read())["paths"]
    newest = max(name.split("/")[2] for name in paths if name.startswith("/slurm/v"))
    load = Load(f"/slurm/{newest}/diag", headers)
    load.start()
    longest = 0.0
    for _ in range(restarts):
        time.sleep(BETWEEN)
        begin = time.monotonic()
        said("systemctl", "reset-failed", "slurmrestd")
        said("systemctl", "restart", "slurmrestd")
        longest = max(longest, time.monotonic() - begin)
    time.sleep(BETWEEN)
    load.finish()
    version, signal = said("slurmrestd", "-V").split()[-1], said("systemctl", "show", "-p", "KillSignal", "slurmrestd")
    found = {"slurm": version, "kill_signal": int(signal.partition("=")[2]), "restarts": restarts}
    found.update(longest_restart=round(longest, 2), longest_gap=round(load.gap, 2))
    json.dump({**found, "good": load.good, "lost": load.lost, "refused": load.refused}, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
