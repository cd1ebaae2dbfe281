"""Which token is accepted: proofs and samples against a slurmrestd that lives in the test process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from slurmrest.auth import jwt
from slurmrest.errors import SlurmrestError
from slurmrest.rest.client import ClientError, Credentials, Target
from slurmrest.rotation.acceptance import NEW, OLD, Sample, Sampler, Series, prove, routes, sample, summary

from tests.unit import fake_slurmrestd
from tests.unit.fake_slurmrestd import STYLES, FakeSlurmrestd, serving, token

if TYPE_CHECKING:
    from pathlib import Path

OTHER = jwt.Key(b"the next key of the fake slurmctld, 32+")
TOKENS = {OLD: Credentials("root", token("root")), NEW: Credentials("root", token("root", key=OTHER))}

each_release = pytest.mark.parametrize("series", STYLES)


@each_release
def test_the_newest_version_is_asked(series: str) -> None:
    with serving(FakeSlurmrestd(STYLES[series])) as target:
        newest = STYLES[series].apis[-1]
        found = routes(target, TOKENS[OLD], accounting=True)
        assert found.paths == {"slurm": f"/slurm/{newest}/diag", "slurmdb": f"/slurmdb/{newest}/diag"}
        assert list(routes(target, TOKENS[OLD], accounting=False).paths) == ["slurm"]


def test_without_accounting_a_version_that_needs_it_is_passed_over() -> None:
    style = replace(STYLES["22.05"], apis=("v0.0.38", "v0.0.39"))
    with serving(FakeSlurmrestd(style, accounting=False)) as target:
        assert routes(target, TOKENS[OLD], accounting=False, lame=["v0.0.39"]).paths == {"slurm": "/slurm/v0.0.38/diag"}


def test_accounting_that_is_not_served_is_an_error() -> None:
    with (
        serving(FakeSlurmrestd(STYLES["24.11"], accounting=False)) as target,
        pytest.raises(SlurmrestError, match="nothing below /slurmdb/"),
    ):
        routes(target, TOKENS[OLD], accounting=True)


def test_an_answer_that_is_no_document_is_an_error() -> None:
    with (
        serving(FakeSlurmrestd(STYLES["24.11"], instead={"openapi": (200, "hello")})) as target,
        pytest.raises(SlurmrestError, match="nothing below /slurm/"),
    ):
        routes(target, TOKENS[OLD], accounting=True)


@each_release
def test_the_right_token_is_accepted_and_the_other_refused(series: str) -> None:
    with serving(FakeSlurmrestd(STYLES[series])) as target:
        where = routes(target, TOKENS[OLD], accounting=True)
        assert set(prove(where, TOKENS[OLD], TOKENS[NEW])) == set(where.paths.values())
        assert set(prove(where, TOKENS[OLD], None).values()) == {"accepted"}
        with pytest.raises(SlurmrestError, match="should be accepted is refused"):
            prove(where, TOKENS[NEW], TOKENS[OLD], patience=0.2)


@each_release
def test_a_token_that_should_be_refused_is_noticed(series: str) -> None:
    with serving(FakeSlurmrestd(STYLES[series], faults={"any-token"})) as target:
        where = routes(target, TOKENS[OLD], accounting=True)
        with pytest.raises(SlurmrestError, match="should be refused is accepted"):
            prove(where, TOKENS[NEW], TOKENS[OLD], patience=0.2)


@pytest.mark.parametrize("fault", ["ctld-down", "dbd-down"])
@each_release
def test_a_daemon_that_is_down_proves_nothing(series: str, fault: str) -> None:
    daemon = FakeSlurmrestd(STYLES[series])
    with serving(daemon) as target:
        where = routes(target, TOKENS[OLD], accounting=True)
        daemon.faults = {fault}
        with pytest.raises(SlurmrestError, match="should be accepted is refused"):
            prove(where, TOKENS[OLD], TOKENS[NEW], patience=0.2)


@pytest.mark.parametrize("answer", [(200, "no JSON"), (200, {"statistics": {}}), (200, {"errors": [{"error": "no"}]})])
def test_a_200_alone_is_no_acceptance(answer: tuple[int, object]) -> None:
    daemon = FakeSlurmrestd(STYLES["24.11"], instead={"diag": answer})
    with serving(daemon) as target:
        where = routes(target, TOKENS[OLD], accounting=True)
        with pytest.raises(SlurmrestError, match="should be accepted is refused"):
            prove(where, TOKENS[OLD], None, patience=0.1)


def test_no_answer_is_told() -> None:
    with serving(FakeSlurmrestd(STYLES["24.11"])) as target:
        where = routes(target, TOKENS[OLD], accounting=True)
    with pytest.raises(SlurmrestError, match="refused the connection"):
        prove(where, TOKENS[OLD], None, patience=0.1)
    with pytest.raises(ClientError):
        routes(target, TOKENS[OLD], accounting=True)


def test_sampling_measures_the_gap_and_the_changeover(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = FakeSlurmrestd(STYLES["24.11"])
    stop = threading.Event()
    found: dict[str, Series] = {}
    with serving(daemon) as target:
        where = routes(target, TOKENS[OLD], accounting=True)
        sampling = threading.Thread(target=lambda: found.update(sample(where, TOKENS, stop)))
        sampling.start()
        time.sleep(0.2)
        daemon.faults = {"dbd-down"}
        time.sleep(0.4)
        daemon.faults = {"ctld-down", "dbd-down"}
        time.sleep(0.4)
        monkeypatch.setattr(fake_slurmrestd, "KEY", OTHER)
        daemon.faults = set()
        time.sleep(0.3)
        stop.set()
        sampling.join()
    measured = summary(found)
    assert 0.4 <= measured["gap"]["slurm"] < measured["gap"]["slurmdb"]
    assert measured["changeover"] >= 0.8
    assert measured["changeover"] == pytest.approx(measured["gap"]["slurmdb"], abs=0.2)
    assert measured["refused"] > 0
    assert measured["requests"] == sum(len(one.samples) for one in found.values())


def series(*samples: tuple[float, float, str | None]) -> Series:
    return Series([Sample(*one) for one in samples])


def test_the_changeover_begins_where_the_old_token_fails_first_and_ends_where_the_new_one_works_last() -> None:
    measured = summary(
        {
            "slurm": series((0, 1, OLD), (5, 6, OLD), (7, 8, None), (9, 10, NEW)),
            "slurmdb": series((0, 1, OLD), (2, 3, None), (3, 4, NEW), (9, 10, NEW)),
        }
    )
    assert measured["changeover"] == 10
    assert measured["gap"] == {"slurm": 6, "slurmdb": 7}
    assert (measured["requests"], measured["refused"]) == (8, 2)


def test_without_a_change_there_is_no_changeover() -> None:
    assert summary({"slurm": series((0, 1, OLD), (1, 4, None), (5, 6, OLD))})["changeover"] is None
    back = series((0, 1, OLD), (2, 3, NEW), (4, 5, OLD))
    assert summary({"slurm": back})["changeover"] is None
    assert summary({})["changeover"] is None


def test_time_before_the_first_and_after_the_last_good_answer_counts() -> None:
    assert series((0, 1, None), (4, 5, OLD)).longest_gap() == 4
    assert series((0, 1, OLD), (4, 9, None)).longest_gap() == 9
    assert series((0, 1, None), (2, 3, None)).longest_gap() == 3
    assert Series().longest_gap() == 0


# --- the process ------------------------------------------------------------------------------------------------------

START = """
import sys
from slurmrest.rest.client import Credentials, Target
from slurmrest.auth.jwt import Token
from slurmrest.rotation.acceptance import Routes, Sampler
directory, url, old, new, limit = sys.stdin.read().split()
where = Routes(Target.parse(url), {"slurm": "/slurm/v0.0.42/diag"})
tokens = {"old": Credentials("root", Token(old)), "new": Credentials("root", Token(new))}
Sampler(directory).start(where, tokens, float(limit))
"""


def start(directory: Path, target: Target, limit: float = 20) -> subprocess.CompletedProcess[str]:
    """Start a sampler as a module does: from a process that ends, whose output is read to its end."""
    words = [str(directory), target.url, TOKENS[OLD].token.reveal(), TOKENS[NEW].token.reveal(), str(limit)]
    return subprocess.run(
        [sys.executable, "-c", START],
        input=" ".join(words),
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
        env={"PYTHONPATH": ":".join(sys.path)},
    )


def wait_for_requests(daemon: FakeSlurmrestd, number: int) -> None:
    """Return when the daemon has been asked so many times more."""
    wanted, deadline = len(daemon.requests) + number, time.monotonic() + 10
    while len(daemon.requests) < wanted:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_sampler_outlives_its_parent_and_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = FakeSlurmrestd(STYLES["24.11"])
    directory = tmp_path / "watch"
    with serving(daemon) as target:
        begin = time.monotonic()
        start(directory, target)
        wait_for_requests(daemon, 20)
        monkeypatch.setattr(fake_slurmrestd, "KEY", OTHER)
        wait_for_requests(daemon, 20)
        measured = Sampler(str(directory)).stop()
        took = time.monotonic() - begin
        asked = len(daemon.requests)
        time.sleep(0.2)
        assert len(daemon.requests) == asked
    assert measured["changeover"] is not None
    assert 0 < measured["changeover"] < took
    assert directory.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in directory.iterdir()] == ["lock"]


def test_a_sampler_that_nobody_stops_ends_by_itself(tmp_path: Path) -> None:
    directory = tmp_path / "watch"
    with serving(FakeSlurmrestd(STYLES["24.11"])) as target:
        start(directory, target, limit=0.2)
        deadline = time.monotonic() + 10
        while not (directory / "result").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        left = (directory / "result").read_text()
    assert TOKENS[OLD].token.reveal() not in left
    assert json.loads(left)["changeover"] is None


def test_one_that_was_left_is_ended_by_the_next(tmp_path: Path) -> None:
    directory = tmp_path / "watch"
    with serving(FakeSlurmrestd(STYLES["24.11"])) as target:
        start(directory, target)
        start(directory, target)
        assert Sampler(str(directory)).stop()["gap"]["slurm"] >= 0


def test_a_measurement_that_is_lost_is_told(tmp_path: Path) -> None:
    with pytest.raises(SlurmrestError, match="the measurement is lost"):
        Sampler(str(tmp_path)).stop()
