"""The test runner: a test suite that runs nothing must not look as if it had passed."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests import run

OPTIONS = run.Options(("24.11",), (), keep=False, full=False)


def command(code: str) -> run.Command:
    """Return a command that runs a line of Python."""
    return run.Command("code", (sys.executable, "-c", code))


def test_goes_on_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command has its outcome, with the status of the program and its time."""
    stages = {
        "one": lambda _: iter([command("raise SystemExit(3)"), command("pass")]),
        "two": lambda _: iter([command("import time; time.sleep(0.1)")]),
    }
    monkeypatch.setattr(run, "STAGES", stages)
    outcomes = run.run(["one", "two"], OPTIONS)
    assert [(outcome.stage, outcome.status) for outcome in outcomes] == [("one", 3), ("one", 0), ("two", 0)]
    assert outcomes[2].seconds >= 0.1
    assert "FAILED (exit status 3)" in str(outcomes[0])


def test_nothing_to_run_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty stage says so and fails."""
    monkeypatch.setattr(run, "STAGES", {"empty": lambda _: iter([])})
    (outcome,) = run.run(["empty"], OPTIONS)
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
    assert titles() == ["default 22.05", "odd 22.05", "default 24.11", "keys 24.11"]
    assert titles(full=True) == [
        f"{name} {release}" for release in ("22.05", "24.11") for name in ("default", "odd", "keys")
    ]
    assert titles(scenarios=("keys",), releases=("22.05",)) == ["keys 22.05"]


def test_the_tables_name_what_exists() -> None:
    """A part that was renamed must not drop out of the matrix unseen."""
    assert {*run.EVERY_RELEASE, *run.ONE_RELEASE} <= {*run.scenarios(), *run.topics()}
    assert set(run.ONE_RELEASE.values()) <= set(run.RELEASES)
