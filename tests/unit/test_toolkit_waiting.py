"""What makes progress is not given up; what does not, is soon."""

from __future__ import annotations

import subprocess
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from slurmrest_toolkit.nodes import start
from slurmrest_toolkit.support import waiting
from slurmrest_toolkit.support.errors import ClusterFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future


class Clock:
    """A clock that goes on by what is slept."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Return the seconds slept so far."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock that waiting looks at."""
    clock = Clock()
    monkeypatch.setattr(waiting, "time", clock)
    return clock


def saying(answers: Iterable[str]) -> Callable[[], str]:
    left = iter(answers)
    return lambda: next(left)


def wait(missing: Callable[[], str], *, busy: Callable[[], bool] = lambda: False, longest: float = 600.0) -> None:
    waiting.wait_until(missing, "it is not there", 1.0, quiet=60.0, longest=longest, busy=busy)


def test_the_same_answer_for_too_long_is_the_end(clock: Clock) -> None:
    with pytest.raises(ClusterFailedError, match="it is not there after 61 s: refused"):
        wait(lambda: "refused")
    assert clock.now == 61.0


def test_who_waits_side_by_side_does_not_outwait_an_interruption() -> None:
    asking = threading.Event()

    def missing() -> str:
        asking.set()
        return "refused"

    def outer() -> None:
        with waiting.side_by_side(1) as pool:
            pool.submit(waiting.wait_until, missing, "it is not there", 0.001, quiet=600.0).result()

    def interrupted() -> None:
        with waiting.side_by_side(2) as pool:
            asked.append(pool.submit(outer))
            asking.wait()
            raise KeyboardInterrupt

    asked: list[Future[None]] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(ClusterFailedError, match="it is not there, and is not waited for any more: refused"):
        asked[0].result(0)


def test_what_is_over_before_the_end_is_not_given_up() -> None:
    with waiting.side_by_side(1) as pool:
        asked = pool.submit(waiting.wait_until, saying(["refused", ""]), "it is not there", 0.001, quiet=600.0)
    assert asked.result(0) is None


def test_each_new_answer_is_progress(clock: Clock) -> None:
    wait(saying([*["refused"] * 50, *["500 slurmctld"] * 50, *["500 slurmdbd"] * 50, ""]))
    assert clock.now == 150.0


def test_answers_that_take_turns_are_none(clock: Clock) -> None:
    with pytest.raises(ClusterFailedError, match="after 62 s"):
        wait(saying(["refused", "500"] * 100))
    assert clock.now < 63.0


def test_what_is_at_work_is_waited_for_until_the_longest_wait(clock: Clock) -> None:
    with pytest.raises(ClusterFailedError, match="after 301 s"):
        wait(lambda: "refused", busy=lambda: True, longest=300.0)
    assert clock.now == 301.0


def test_work_that_has_ended_is_no_progress(clock: Clock) -> None:
    with pytest.raises(ClusterFailedError, match="after 183 s"):
        wait(lambda: "refused", busy=lambda: clock.now < 150.0)


def test_a_node_that_boots_slowly_is_waited_for(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSH refuses connections in the same words all the while; after half a minute the cluster was thrown away."""
    monkeypatch.setattr(start, "ssh_command", lambda _cluster, _node: ["ssh"])

    def ssh(argv: list[str], **_how: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(argv, 0 if clock.now > 60 else 255, "", "Connection refused")

    monkeypatch.setattr("subprocess.run", ssh)
    start.wait_for_ssh(SimpleNamespace(patience=600.0), SimpleNamespace(name="node1"))  # type: ignore[arg-type]
    assert clock.now > 60
