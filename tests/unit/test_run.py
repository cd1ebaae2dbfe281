"""The test runner: a test suite that runs nothing must not look as if it had passed."""

from __future__ import annotations

import sys

import pytest

from tests import run

OPTIONS = run.Options(("24.11",), ("default",), keep=False, full=False)


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


def test_every_scenario_runs_on_every_release() -> None:
    """The containers stage is the product of both, unless asked for less."""
    options = run.Options(("22.05", "24.11"), ("default", "split"), keep=False, full=False)
    runs = [(c.environment["SLURMREST_RELEASE"], c.argv[-1]) for c in run.containers(options) if "molecule" in c.argv]
    assert sorted(runs) == sorted((release, name) for release in options.releases for name in options.scenarios)
