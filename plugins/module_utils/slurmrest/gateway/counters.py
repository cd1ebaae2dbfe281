"""What a gateway's access log says, counted: a page for its administrator, and the same for Prometheus.

``main`` is a program that follows the log and answers on an address of this host alone. It counts from its start, as
Prometheus expects of counters, and knows no users and no paths, so that whoever else is on the host learns neither.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import socketserver
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from typing import Any

LOOK_SECONDS = 5.0
"""How often the log is read while nobody asks: one that is rotated twice in between would be lost."""

PIECE = 1 << 20
PATIENCE = 10.0
BUCKETS = (0.01, 0.1, 1.0, 10.0, 60.0)
KEPT = ("HIT", "UPDATING", "STALE")
"""What nginx says of an answer that no slurmrestd was asked for."""

LOGINS = ("/auth/login", "/auth/callback")
PREFIX = "slurmrest_gateway_"

_API = re.compile(r"(/cluster/[^/]+)?/(slurm|slurmdb|openapi)([/.]|$)")
_WAY = re.compile(r"slurmrest_(lists|answers|changes)(?:\.(.+))?")


class Follower:
    """A log from its present end on, also where it is moved away or emptied."""

    def __init__(self, path: str) -> None:
        self._path, self._rest = path, b""
        self._file = self._open(os.SEEK_END)

    def lines(self) -> Iterator[bytes]:
        """The whole lines that have come since the last time."""
        yield from self._new()
        if self._moved():
            yield from self._new()  # what came between reading and looking
            self.close()
            self._rest, self._file = b"", self._open(os.SEEK_SET)
            yield from self._new()

    def close(self) -> None:
        """Read no further."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _new(self) -> Iterator[bytes]:
        while self._file is not None:
            if os.fstat(self._file).st_size < os.lseek(self._file, 0, os.SEEK_CUR):
                os.lseek(self._file, 0, os.SEEK_SET)
                self._rest = b""
            piece = os.read(self._file, PIECE)
            if not piece:
                return
            *whole, self._rest = (self._rest + piece).split(b"\n")
            yield from whole

    def _moved(self) -> bool:
        try:
            now = os.stat(self._path)
        except FileNotFoundError:
            return False
        if self._file is None:
            return True
        known = os.fstat(self._file)
        return (now.st_dev, now.st_ino) != (known.st_dev, known.st_ino)

    def _open(self, whence: int) -> int | None:
        try:
            found = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        os.lseek(found, 0, whence)
        return found


class Counters:
    """Sums over the lines of a log; each key is the name of a metric and its labels."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.sums: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()

    def add(self, line: bytes) -> None:
        """Count one line; what cannot be read is counted as such."""
        try:
            self._add(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            self._count("unread_lines_total")

    def _add(self, found: Mapping[str, Any]) -> None:
        kind, cluster = kind_of(str(found["path"]), str(found["way"]))
        status, cache, seconds = int(found["status"]), str(found["cache"]), float(found["seconds"])
        asked = sum(map(float, found["upstream_seconds"].split(", "))) if found["upstream_seconds"] else 0.0
        hosts = str(found["host"]).split(", ") if found["host"] and cache not in KEPT else []
        size, user = int(found["bytes"]), "known" if found["user"] else "none"
        # Nothing is counted of a line that cannot be read to here.
        labels = {"for": kind, "cluster": cluster}
        self._count("requests_total", {**labels, "status": str(status), "cache": cache or "none", "user": user})
        self._count("response_bytes_total", labels, size)
        self._time("request_seconds", labels, seconds)
        if kind == "logins" and found["path"] in LOGINS and status != 204:
            self._count("logins_total", {"result": login_of(status)})
        for host in hosts:
            self._count("upstream_tries_total", {"host": host})
        if hosts:
            self._time("upstream_seconds", {"host": hosts[-1]}, asked)

    def _count(self, name: str, labels: Mapping[str, str] | None = None, value: float = 1) -> None:
        self.sums[name, tuple(sorted((labels or {}).items()))] += value  # type: ignore[assignment]

    def _time(self, name: str, labels: Mapping[str, str], seconds: float) -> None:
        for bound in (*BUCKETS, float("inf")):
            reached = 1 if seconds <= bound else 0
            self._count(f"{name}_bucket", {**labels, "le": f"{bound:g}".replace("inf", "+Inf")}, reached)
        self._count(f"{name}_sum", labels, seconds)
        self._count(f"{name}_count", labels)

    def total(self, name: str, **labels: str) -> float:
        """The sum of a metric over all that have these labels."""
        return sum(
            value for (known, with_labels), value in self.sums.items()
            if known == name and labels.items() <= dict(with_labels).items()
        )  # fmt: skip

    def values(self, name: str, label: str) -> list[str]:
        """What a label of a metric has been."""
        return sorted({dict(labels)[label] for known, labels in self.sums if known == name})


METRICS = {
    "requests_total": (
        "counter",
        "Requests by what they were for, cluster, status, cache, and whether a user was known.",
    ),
    "request_seconds": ("histogram", "Seconds from a request's first byte to its answer's last."),
    "response_bytes_total": ("counter", "Bytes of answers."),
    "upstream_seconds": ("histogram", "Seconds of requests that slurmrestd was asked for, by the host that answered."),
    "upstream_tries_total": ("counter", "Questions to each slurmrestd, those without an answer too."),
    "logins_total": ("counter", "Logins that were good, refused, too many (limited), or failed at the gateway itself."),
    "unread_lines_total": ("counter", "Lines of the log that have another form."),
}


def kind_of(path: str, way: str) -> tuple[str, str]:
    """What a request was for, and the cluster, which is empty for the first one."""
    if path.startswith("/auth/"):
        return "logins", ""
    match = _WAY.fullmatch(way)
    if match is None or not _API.match(path):
        return "other", ""
    return match[1], match[2] or ""


def login_of(status: int) -> str:
    """What became of a login."""
    if status < 400:
        return "good"
    if status >= 500:
        return "failed"
    return "limited" if status == 429 else "refused"


def metrics(counters: Counters) -> str:
    """The text that Prometheus reads (its exposition format 0.0.4)."""
    lines = []
    for name, (kind, words) in METRICS.items():
        parts = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        lines += [f"# HELP {PREFIX}{name} {words}", f"# TYPE {PREFIX}{name} {kind}"]
        for part in parts:
            found = [(labels, value) for (known, labels), value in counters.sums.items() if known == name + part]
            lines += [f"{PREFIX}{name}{part}{_labels(labels)} {value:.12g}" for labels, value in sorted(found)]
    lines += [f"# TYPE {PREFIX}start_time_seconds gauge", f"{PREFIX}start_time_seconds {counters.since:.3f}"]
    return "\n".join(lines) + "\n"


def _labels(labels: Sequence[tuple[str, str]]) -> str:
    escaped = (
        (name, value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")) for name, value in labels
    )  # fmt: skip
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped) + "}" if labels else ""


def page(counters: Counters, now: float) -> str:
    """The page for people, as plain text."""
    requests, begin = "requests_total", time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(counters.since))
    lines = [f"Slurm REST gateway, counted since {begin} UTC ({now - counters.since:.0f} s)", ""]
    form = "{:<24}{:>12}{:>10}{:>10}{:>10}{:>12}"
    lines += [form.format("for", "requests", "kept", "refused", "failed", "mean s")]
    pairs = sorted(
        {(dict(labels)["cluster"], dict(labels)["for"]) for name, labels in counters.sums if name == requests}
    )
    for cluster, kind in pairs:
        where = {"cluster": cluster, "for": kind}
        count = counters.total(requests, **where)
        kept = sum(counters.total(requests, cache=cache, **where) for cache in KEPT)
        by_class = {
            first: sum(
                counters.total(requests, status=status, **where)
                for status in counters.values(requests, "status")
                if status.startswith(first)
            )
            for first in "45"
        }
        mean = counters.total("request_seconds_sum", **where) / count
        name = f"{kind} ({cluster})" if cluster else kind
        lines += [
            form.format(name, f"{count:.0f}", f"{kept:.0f}", *(f"{by_class[c]:.0f}" for c in "45"), f"{mean:.3f}")
        ]
    lines += ["", "{:<48}{:>12}{:>12}".format("slurmrestd", "asked", "mean s")]
    for host in counters.values("upstream_tries_total", "host"):
        answered = counters.total("upstream_seconds_count", host=host)
        mean = counters.total("upstream_seconds_sum", host=host) / answered if answered else 0
        lines += [f"{host:<48}{counters.total('upstream_tries_total', host=host):>12.0f}{mean:>12.3f}"]
    logins = {
        result: counters.total("logins_total", result=result) for result in ("good", "refused", "limited", "failed")
    }
    lines += ["", "logins: " + ", ".join(f"{count:.0f} {result}" for result, count in logins.items())]
    unread = counters.total("unread_lines_total")
    return "\n".join([*lines, *([f"lines of the log that were not read: {unread:.0f}"] if unread else []), ""])


class StatusHandler(BaseHTTPRequestHandler):
    """One question."""

    timeout = PATIENCE
    server: StatusServer

    def do_GET(self) -> None:
        """Answer with the page, or with what Prometheus reads."""
        texts = self.server.texts()
        body = texts.get(self.path, "Only / and /metrics are here.\n").encode()
        self.send_response(200 if self.path in texts else 404)
        kind = "text/plain; version=0.0.4; charset=utf-8" if self.path == "/metrics" else "text/plain; charset=utf-8"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """Say nothing of Python."""
        return "slurmrest-counters"

    def log_message(self, format: str, *words: Any) -> None:  # noqa: A002 - its name in the base class
        """Say nothing of single questions."""


class StatusServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Answers, and reads the log meanwhile: whoever of this host asks and says no more keeps nobody from either."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], log: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.follower, self.counters = Follower(log), Counters(time.time())
        self._reading = threading.RLock()
        super().__init__(address, StatusHandler)

    def service_actions(self) -> None:
        """Read what has come into the log."""
        with self._reading:
            for line in self.follower.lines():
                self.counters.add(line)

    def texts(self) -> dict[str, str]:
        """What there is to see by now, by path."""
        with self._reading:
            self.service_actions()
            return {"/": page(self.counters, time.time()), "/metrics": metrics(self.counters)}

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as the base class calls it
        """Say nothing of clients that went away; anything else in one line."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            sys.stderr.write(f"a question failed: {type(error).__name__}\n")


def main(argv: Sequence[str]) -> int:
    """Follow a log and answer: ``argv`` is its path, and the address and port. Returns 1 where that cannot be."""
    path, address = argv
    host, _, port = address.rpartition(":")
    try:
        server = StatusServer((host.strip("[]"), int(port)), path)
    except OSError as failure:
        sys.stderr.write(f"{address} or {path}: {failure}\n")
        return 1
    with server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever(poll_interval=LOOK_SECONDS)
    return 0
