"""A slurmctld that has only just started, as after a power cut, is waited for; nothing else is."""

from __future__ import annotations

import os
import time

import pytest
from slurmrest.auth import starting
from slurmrest.errors import SlurmrestError
from slurmrest.host.programs import TOO_SLOW, Done
from slurmrest.slurm.daemons import STARTING_SECONDS
from slurmrest.slurm.starting import awaited, uptime

WAITS = "scontrol: error: slurm_fetch_token: error receiving response: Socket timed out on send/recv operation"
DOWN = (
    "scontrol: error: slurm_fetch_token: error receiving response: Unable to contact slurm controller (connect failure)"
)
REFUSED = "scontrol: error: slurm_fetch_token: error with request: Required plugin type not loaded or initialized"
GOOD = Done(["scontrol", "token"], 0, "SLURM_JWT=sesame\n", "")


def failed(words: str, code: int = 1) -> Done[str]:
    return Done(["scontrol", "token"], code, "", words)


class Asked:
    """Gives these answers one after the other; a second is an asking, so many a pause."""

    def __init__(self, *answers: Done[str], age: float = 5.0) -> None:
        self.answers, self.age = list(answers), age
        self.asked = 0

    def __call__(self) -> Done[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def pause(self, seconds: float) -> None:
        self.age += seconds

    def token(self) -> str:
        return starting.token_of(self, lambda: self.age, self.pause)


@pytest.mark.parametrize("not_yet", [failed(WAITS), failed(DOWN), failed("no answer", TOO_SLOW)])
def test_one_that_starts_is_waited_for(not_yet: Done[str]) -> None:
    """It was asked once, and a deployment after a power cut failed in its closing verification."""
    asked = Asked(not_yet, not_yet, GOOD)
    assert asked.token() == "sesame"
    assert asked.asked == 3


def test_the_wait_has_an_end() -> None:
    asked = Asked(failed(WAITS))
    with pytest.raises(SlurmrestError, match="Socket timed out"):
        asked.token()
    assert asked.age >= STARTING_SECONDS
    assert asked.asked < STARTING_SECONDS


@pytest.mark.parametrize(("answer", "age"), [(failed(DOWN), STARTING_SECONDS), (failed(REFUSED), 5.0)])
def test_one_that_has_run_for_long_or_refuses_is_asked_once(answer: Done[str], age: float) -> None:
    asked = Asked(answer, age=age)
    with pytest.raises(SlurmrestError):
        asked.token()
    assert asked.asked == 1


def test_of_several_processes_the_eldest_counts_and_without_one_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    tick = os.sysconf("SC_CLK_TCK")
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    stat = {"7": ("slurmctld\n", now - 90), "8": ("slurmctld\n", now - 20), "9": ("munged\n", now - 900)}

    def read(path: str) -> str | None:
        _, _, pid, name = path.split("/")
        if pid == "10":
            return None  # it has ended meanwhile
        comm, started = stat[pid]
        return comm if name == "comm" else f"{pid} (x) y) S" + " 0" * 18 + f" {int(started * tick)} 0"

    monkeypatch.setattr(starting, "read_text", read)
    monkeypatch.setattr("os.listdir", lambda _path: ["7", "8", "9", "10", "uptime"])
    assert starting._age() == pytest.approx(90, abs=2)
    stat.update({"7": stat["9"], "8": stat["9"]})
    assert starting._age() == pytest.approx(now, abs=2)


def test_slurmdbd_is_waited_for_where_the_host_has_only_just_booted() -> None:
    """Without power all hosts end at once, and the recovery of a database takes longer than a boot."""
    asked = Asked(failed(WAITS), GOOD)
    assert awaited(lambda: asked().returncode == 0, lambda: asked.age, asked.pause)
    assert asked.asked == 2
    asked = Asked(failed(WAITS), age=STARTING_SECONDS)
    assert not awaited(lambda: asked().returncode == 0, lambda: asked.age, asked.pause)
    assert asked.asked == 0
    assert uptime() > 0
