"""The test runner: a test suite that runs nothing must not look as if it had passed."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import run

OPTIONS = run.Options(("24.11",), (), keep=False, full=False)


@pytest.fixture(autouse=True)
def _logs_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "LOGS", tmp_path)


def command(code: str) -> run.Command:
    """Return a command that runs a line of Python."""
    return run.Command("code", (sys.executable, "-c", code))


@pytest.mark.parametrize("jobs", [1, 2])
def test_goes_on_after_a_failure(monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    """Each command has its outcome, with the status of the program and its time."""
    stages = {
        "one": lambda _: iter([command("raise SystemExit(3)"), command("pass")]),
        "two": lambda _: iter([command("import time; time.sleep(0.1)")]),
    }
    monkeypatch.setattr(run, "STAGES", stages)
    outcomes = run.run(["one", "two"], OPTIONS, jobs)
    assert [(outcome.stage, outcome.status) for outcome in outcomes] == [("one", 3), ("one", 0), ("two", 0)]
    assert outcomes[2].seconds >= 0.1
    assert "FAILED (exit status 3)" in str(outcomes[0])


def test_side_by_side_takes_as_long_as_the_longest(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Output comes in one piece: all of it after a failure, the last lines otherwise; meanwhile it says what runs."""
    good = command("import time; time.sleep(0.8); [print('good', n) for n in range(9)]")
    bad = command("import time; time.sleep(0.8); [print('bad', n) for n in range(9)]; raise SystemExit(1)")
    pair = [replace(good, title="good"), replace(bad, title="bad")]
    monkeypatch.setattr(run, "STAGES", {"both": lambda _: iter(pair)})
    monkeypatch.setattr(run, "HEARTBEAT", 0.2)
    start = time.monotonic()
    assert [outcome.status for outcome in run.run(["both"], OPTIONS, 2)] == [0, 1]
    assert time.monotonic() - start < 1.5
    out = capfd.readouterr().out
    assert "\n".join(f"bad {n}" for n in range(9)) in out
    assert "good 6\ngood 7\ngood 8" in out
    assert "good 5" not in out
    assert "... good (" in out


def test_nothing_to_run_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty stage says so and fails."""
    monkeypatch.setattr(run, "STAGES", {"empty": lambda _: iter([])})
    (outcome,) = run.run(["empty"], OPTIONS, 1)
    assert outcome.status != 0
    assert "nothing to run" in str(outcome)


def test_status_of_the_whole(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One failure is enough for exit status 1; the last line counts."""
    stages = {"good": lambda _: iter([command("pass")]), "bad": lambda _: iter([command("raise SystemExit(1)")])}
    monkeypatch.setattr(run, "STAGES", stages)
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("ANSIBLE_CONFIG", "")
    assert run.main(["good"]) == 0
    assert run.main([]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("1 passed, 1 failed in ")


@pytest.mark.parametrize("argv", [["speed"], ["--release", "19.05"], ["--scenario", "nowhere"]])
def test_unknown_values_are_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the value and what is allowed."""
    with pytest.raises(SystemExit, match="2"):
        run.parse(argv)
    assert f"'{argv[-1]}'" in capsys.readouterr().err


def titles(**asked: Any) -> list[str]:
    """Return what the containers stage would run."""
    options = {"releases": ("22.05", "24.11"), "scenarios": (), "keep": False, "full": False, **asked}
    return [command.title for command in run.containers(run.Options(**options))]


def test_what_matters_runs_on_every_release_and_the_rest_on_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost: without more, each part runs at least once; --full runs all on all."""
    monkeypatch.setattr(run, "scenarios", lambda: ["default", "odd"])
    monkeypatch.setattr(run, "topics", lambda: ["keys"])
    monkeypatch.setattr(run, "ONE_RELEASE", {"odd": "22.05"})
    assert titles() == ["default 22.05", "default 24.11", "odd 22.05", "keys 24.11"]
    assert titles(full=True) == [
        f"{name} {release}" for name in ("default", "odd", "keys") for release in ("22.05", "24.11")
    ]
    assert titles(scenarios=("keys",), releases=("22.05",)) == ["keys 22.05"]


def test_what_takes_longest_begins_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "scenarios", lambda: ["default"])
    monkeypatch.setattr(run, "topics", lambda: ["brief", "long"])
    monkeypatch.setattr(run, "LONGEST", ("long",))
    assert titles(full=True, releases=("24.11",)) == ["long 24.11", "default 24.11", "brief 24.11"]


def test_a_scenario_and_a_topic_of_one_name_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scenario that ends on another release begins on one release only, whatever is asked for."""
    monkeypatch.setattr(run, "scenarios", lambda: ["upgrade"])
    monkeypatch.setattr(run, "topics", lambda: ["upgrade"])
    wanted = ["molecule upgrade 24.11", "upgrade 22.05", "upgrade 24.11"]
    assert titles(full=True) == wanted
    assert titles(scenarios=("upgrade",)) == wanted


def test_the_tables_name_what_exists() -> None:
    """A part that was renamed must not drop out of the matrix unseen."""
    assert run.UPGRADES[0] in run.scenarios()
    assert {*run.EVERY_RELEASE, *run.ONE_RELEASE} <= {*run.scenarios(), *run.topics()}
    assert set(run.ONE_RELEASE.values()) <= set(run.RELEASES)
