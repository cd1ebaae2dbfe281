"""Which of two tokens slurmrestd's daemons accept: proven on demand, and sampled all the time while a key changes.

Runs on the REST host. The sampler is a process of its own, so that it goes on while other hosts are worked on; it gets
the tokens by being forked, writes nothing but its measurement, and ends by itself after :data:`LIMIT_SECONDS`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import SlurmrestError
from ..host import files
from ..host.files import save_record
from ..host.records import load_record
from ..rest import answers
from ..rest.client import ClientError, Credentials, Target, request

RUN_DIR = "/run/slurmrest-watch"
PAUSE_SECONDS = 0.02
LIMIT_SECONDS = 300.0
REQUEST_SECONDS = 90.0
"""More than a request takes that meets a restarting primary while a backup stands by: Slurm's client library then
sleeps for half of SlurmctldTimeout (60 s by default) before it tries again, and keeps a thread of slurmrestd."""

PATIENCE_SECONDS = 15.0
OLD, NEW = "old", "new"


@dataclass(frozen=True)
class Routes:
    """Where to ask: a listener and the paths of what slurmctld and, with accounting, slurmdbd have to answer."""

    target: Target
    paths: Mapping[str, str]


def routes(target: Target, credentials: Credentials, *, accounting: bool, lame: Collection[str] = ()) -> Routes:
    """Find the newest API version that is served. Raises SlurmrestError for none, ClientError for no answer.

    Without `accounting` those that are `lame` fail.
    """
    response = request(target, "GET", "/openapi/v3", headers=credentials.headers(), timeout=REQUEST_SECONDS)
    try:
        served = answers.served_versions(response.json())
    except ValueError:
        served = answers.Served((), ())
    usable = [name for name in served.slurm if accounting or name not in lame]
    if not usable or (accounting and not served.slurmdb):
        missing = "/slurmdb/" if usable else "/slurm/"
        raise SlurmrestError(f"{target} serves nothing below {missing} (its OpenAPI document: {response.status})")
    paths = {"slurm": f"/slurm/{usable[-1]}/diag"}
    if accounting:
        paths["slurmdb"] = f"/slurmdb/{served.slurmdb[-1]}/diag"
    return Routes(target, paths)


def accepted(target: Target, path: str, credentials: Credentials) -> bool:
    """Ask once: 200, no errors, and statistics. Raises ClientError when there is no answer in HTTP."""
    response = request(target, "GET", path, headers=credentials.headers(), timeout=REQUEST_SECONDS)
    try:
        payload = answers.mapping(response.json())
    except ValueError:
        return False
    return answers.is_good(response.status, payload) and bool(payload.get("statistics"))


def prove(
    where: Routes, good: Credentials, bad: Credentials | None, patience: float = PATIENCE_SECONDS
) -> dict[str, str]:
    """Return, for each path, that `good` is accepted and `bad` refused, waiting up to `patience` seconds for it.

    A refusal counts only between two acceptances of the good token: then it is the token that is refused. Raises
    SlurmrestError with what was seen last.
    """
    deadline = time.monotonic() + patience
    found = {}
    for path in where.paths.values():
        while True:
            seen = _compare(where.target, path, good, bad)
            if not seen:
                break
            if time.monotonic() > deadline:
                raise SlurmrestError(f"{where.target}{path}: {seen}")
            time.sleep(0.1)
        found[path] = "accepted" if bad is None else "accepted, and the other refused"
    return found


def _compare(target: Target, path: str, good: Credentials, bad: Credentials | None) -> str:
    """What is wrong, or an empty string."""
    try:
        if not accepted(target, path, good):
            return "the token that should be accepted is refused"
        if bad is not None:
            if accepted(target, path, bad):
                return "the token that should be refused is accepted"
            if not accepted(target, path, good):
                return "the token that should be accepted is refused"
    except ClientError as error:
        return error.message
    return ""


# --- sampling ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """One question: when it was sent, when its answer was there (monotonic seconds), and whose token was accepted."""

    sent: float
    done: float
    token: str | None


@dataclass
class Series:
    """The samples of one path."""

    samples: list[Sample] = field(default_factory=list)

    def longest_gap(self) -> float:
        """Seconds of the longest time without an accepted token, from sending a good request to the next good answer.

        An ordinary pause between two samples is in it, so it is an upper bound.
        """
        good = [sample for sample in self.samples if sample.token]
        if not good:
            return self.samples[-1].done - self.samples[0].sent if self.samples else 0.0
        inner = [after.done - before.sent for before, after in zip(good, good[1:])]
        outer = [good[0].sent - self.samples[0].sent, self.samples[-1].done - good[-1].sent]
        return max([*inner, *outer])

    def first_new(self) -> float | None:
        """When the new token's first good answer was there."""
        return next((sample.done for sample in self.samples if sample.token == NEW), None)

    def ends_new(self) -> bool:
        """Whether the token accepted last was the new one."""
        return next((sample.token == NEW for sample in reversed(self.samples) if sample.token), False)

    def last_old(self) -> float | None:
        """When the last good request with the old token was sent."""
        return next((sample.sent for sample in reversed(self.samples) if sample.token == OLD), None)


def summary(series: Mapping[str, Series]) -> dict[str, Any]:
    """The measurement: ``gap`` by name, ``changeover``, and how many requests it rests on. Seconds.

    ``changeover`` is the time from the last moment when one token, the old one, was accepted everywhere, to the first
    moment when the new one was: what a client sees that holds one token at a time. None when the key did not change.
    """
    last_old = [one.last_old() for one in series.values()]
    first_new = [one.first_new() for one in series.values()]
    ends = [value for value in first_new if value is not None]
    begins = [value for value in last_old if value is not None]
    complete = len(ends) == len(begins) == len(series) > 0 and all(one.ends_new() for one in series.values())
    return {
        "gap": {name: round(one.longest_gap(), 3) for name, one in series.items()},
        "changeover": round(max(ends) - min(begins), 3) if complete else None,
        "requests": sum(len(one.samples) for one in series.values()),
        "refused": sum(sample.token is None for one in series.values() for sample in one.samples),
    }


def sample(where: Routes, tokens: Mapping[str, Credentials], stop: threading.Event) -> dict[str, Series]:
    """Ask every path again and again until `stop`; the other token is tried only when the current one is refused."""
    series = {name: Series() for name in where.paths}

    def follow(name: str, path: str) -> None:
        order = [OLD, NEW]
        while not stop.is_set():
            for token in order:
                sent = time.monotonic()
                try:
                    good = accepted(where.target, path, tokens[token])
                except SlurmrestError:  # no answer, or somebody else listens there while slurmrestd is down
                    good = False
                if good:
                    break
            series[name].samples.append(Sample(sent, time.monotonic(), token if good else None))
            if good and token != order[0]:
                order.reverse()
            stop.wait(PAUSE_SECONDS)

    threads = [threading.Thread(target=follow, args=item, daemon=True) for item in where.paths.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return series


@dataclass
class Sampler:
    """The background process, known by the files in `directory`: a lock it holds, a request to stop, its result."""

    directory: str = RUN_DIR

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    @contextlib.contextmanager
    def _lock(self, seconds: float) -> Iterator[int]:
        """Hold the lock that a running sampler has; SlurmrestError when it keeps it for longer than `seconds`."""
        descriptor = files.open_lock(self._path("lock"))
        deadline = time.monotonic() + seconds
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise SlurmrestError("another rotation is being measured on this host") from None
                    time.sleep(0.05)
            yield descriptor
        finally:
            os.close(descriptor)

    def start(self, where: Routes, tokens: Mapping[str, Credentials], limit: float = LIMIT_SECONDS) -> None:
        """Fork the sampler and return once it runs. One that an interrupted run left is ended first."""
        self._ask_to_stop()
        with self._lock(REQUEST_SECONDS * 2 + 5) as descriptor:
            for name in ("stop", "result"):
                files.remove(self._path(name), missing_ok=True)
            child = os.fork()
            if child == 0:
                self._detach(descriptor, where, tokens, limit)
            os.waitpid(child, 0)

    def stop(self) -> dict[str, Any]:
        """End the sampler and return its measurement. Raises SlurmrestError when it left none."""
        self._ask_to_stop()
        with self._lock(REQUEST_SECONDS * 2 + 5):
            result = load_record(self._path("result"))
            if result is None:
                raise SlurmrestError("the measurement is lost: its process was ended from outside")
            for name in ("stop", "result"):
                files.remove(self._path(name), missing_ok=True)
            return result

    def _ask_to_stop(self) -> None:
        files.have_directory(self.directory)
        os.close(files.open_lock(self._path("stop")))

    def _detach(self, lock: int, where: Routes, tokens: Mapping[str, Credentials], limit: float) -> None:
        """In the child: leave the session, close what Ansible waits for, sample in a grandchild, and never return."""
        status = 1
        try:
            os.setsid()
            if os.fork() == 0:
                null = os.open(os.devnull, os.O_RDWR)
                for descriptor in range(3):
                    os.dup2(null, descriptor)
                _close_others(keep=(0, 1, 2, lock))
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
                self._sample_until_asked(where, tokens, limit)
            status = 0
        finally:
            os._exit(status)

    def _sample_until_asked(self, where: Routes, tokens: Mapping[str, Credentials], limit: float) -> None:
        stop = threading.Event()
        deadline = time.monotonic() + limit

        def wait() -> None:
            while time.monotonic() < deadline and not os.path.exists(self._path("stop")):
                time.sleep(0.05)
            stop.set()

        threading.Thread(target=wait, daemon=True).start()
        result = summary(sample(where, tokens, stop))
        save_record(self._path("result"), result)


def _close_others(keep: Sequence[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in keep:
            with contextlib.suppress(OSError):
                os.close(int(name))
