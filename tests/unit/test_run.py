"""The test runner: a test suite that runs nothing must not look as if it had passed."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import parts, run

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


@pytest.mark.parametrize("jobs", [1, 2])
def test_standard_input_is_not_shared(monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    """What ssh does to that of one part reaches no other part, in which Ansible would refuse to run."""
    changes = command("import os; os.set_blocking(0, False); import time; time.sleep(0.3)")
    needs = command(
        "import os, time; time.sleep(0.2); raise SystemExit(not os.get_blocking(0) or os.read(0, 1) != b'')"
    )
    reading, writing = os.pipe()
    mine = os.dup(0)
    os.dup2(reading, 0)
    try:
        monkeypatch.setattr(run, "STAGES", {"both": lambda _: iter([changes, needs])})
        outcomes = run.run(["both"], OPTIONS, jobs)
    finally:
        os.dup2(mine, 0)
        for descriptor in (reading, writing, mine):
            os.close(descriptor)
    assert [outcome.status for outcome in outcomes] == [0, 0]


def test_parts_run_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Output comes in one piece: all of it after a failure, the last lines otherwise; meanwhile it says what runs."""
    meets = f"""
import pathlib, sys, time
here, other = (pathlib.Path({str(tmp_path)!r}, name) for name in {{}})
here.touch()
end = time.monotonic() + 60
while not other.exists() and time.monotonic() < end: time.sleep(0.01)
time.sleep(0.5)
for n in range(9): print(here.name, n)
sys.exit(not other.exists() or here.name == "bad")
"""
    good, bad = (command(meets.format(names)) for names in (("good", "bad"), ("bad", "good")))
    pair = [replace(good, title="good"), replace(bad, title="bad")]
    monkeypatch.setattr(run, "STAGES", {"both": lambda _: iter(pair)})
    monkeypatch.setattr(run, "HEARTBEAT", 0.2)
    assert [outcome.status for outcome in run.run(["both"], OPTIONS, 2)] == [0, 1]
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


def test_parts_of_the_virtual_machines_are_named_as_its_help_says(capfd: pytest.CaptureFixture[str]) -> None:
    assert run.main(["vm", "--help"]) == 0
    assert "usage: scripts/test vm" in capfd.readouterr().out
    assert run.main(["vm", "nosuch"]) == 2
    assert "nosuch" in capfd.readouterr().err


def test_status_of_the_whole(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One failure is enough for exit status 1; the last line counts."""
    stages = {"good": lambda _: iter([command("pass")]), "bad": lambda _: iter([command("raise SystemExit(1)")])}
    monkeypatch.setattr(run, "STAGES", stages)
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("ANSIBLE_CONFIG", "")
    assert run.main(["good"]) == 0
    assert run.main([]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("1 passed, 1 failed in ")


def test_no_further_part_begins_when_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was not run is named and counted, other stages have no bound, and a run that came to no part has failed."""
    stages = {
        "unit": lambda _: iter([command("import time; time.sleep(0.3)")]),
        "containers": lambda _: iter(replace(command("import time; time.sleep(0.5)"), title=title) for title in "abc"),
    }
    monkeypatch.setattr(run, "STAGES", stages)
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("ANSIBLE_CONFIG", "")
    assert run.main(["containers", "unit", "--jobs", "1", "--minutes", str(0.2 / 60)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1].startswith("2 passed, 0 failed, 2 skipped in ")
    assert [line.split()[1] for line in out if "NOT RUN (the time was over)" in line] == ["b", "c"]
    assert run.main(["unit", "containers", "--jobs", "1", "--minutes", str(0.1 / 60)]) == 1
    assert "1 passed, 0 failed, 3 skipped" in capsys.readouterr().out


@pytest.mark.parametrize(("argv", "minutes"), [([], run.MINUTES), (["--full"], None), (["--minutes", "9"], 9.0)])
def test_a_run_of_everything_is_bounded(
    monkeypatch: pytest.MonkeyPatch, argv: list[str], minutes: float | None
) -> None:
    """Unless somebody asked for all of it."""
    asked: list[run.Options] = []

    def note(_stages: object, options: run.Options, _jobs: int) -> list[run.Outcome]:
        asked.append(options)
        return []

    monkeypatch.setattr(run, "run", note)
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("ANSIBLE_CONFIG", "")
    assert run.main(argv) == 0
    assert asked[0].minutes == minutes


@pytest.mark.parametrize("argv", [["speed"], ["--release", "19.05"], ["--scenario", "nowhere"]])
def test_unknown_values_are_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the value and what is allowed."""
    with pytest.raises(SystemExit, match="2"):
        run.parse(argv)
    assert f"'{argv[-1]}'" in capsys.readouterr().err


TABLE = """
["molecule default"]
every = ["22.05", "24.11"]
["molecule odd"]
only = "22.05"
["molecule keys"]
releases = ["24.11"]
[keys]
[long]
"""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small table of parts, of which one is known to take long."""
    (tmp_path / "parts.toml").write_text(TABLE)
    (tmp_path / "parts.json").write_text('{"long 24.11": 900}')
    monkeypatch.setattr(parts, "TABLE", tmp_path / "parts.toml")
    monkeypatch.setattr(parts, "SECONDS", tmp_path / "parts.json")


def titles(**asked: Any) -> list[str]:
    """Return what the containers stage would run."""
    options = {"releases": ("22.05", "24.11"), "scenarios": (), "keep": False, "full": False, **asked}
    return [command.title for command in run.containers(run.Options(**options))]


ALL = [
    "long 24.11",
    "keys 22.05",
    "long 22.05",
    "molecule default 22.05",
    "molecule odd 22.05",
    "keys 24.11",
    "molecule default 24.11",
    "molecule keys 24.11",
]


@pytest.mark.usefixtures("table")
def test_full_runs_all_and_what_takes_longest_begins_first() -> None:
    """Everything on every release where it can run."""
    assert titles(full=True) == ALL


@pytest.mark.usefixtures("table")
def test_runs_in_a_row_have_run_everything() -> None:
    """Nothing is lost: each part is in each run or in exactly one share."""
    runs = [titles(share=number) for number in range(parts.SHARES)]
    every = {"molecule default 22.05", "molecule default 24.11"}
    assert all(every < set(names) for names in runs)
    turns = [name for names in runs for name in names if name not in every]
    assert sorted(turns) == sorted(set(ALL) - every)
    assert ["long 24.11"] in [[name for name in names if name not in every] for names in runs]
    assert titles(share=1) == titles(share=1 + parts.SHARES) == titles(share=1)


@pytest.mark.usefixtures("table")
def test_a_scenario_and_a_topic_of_one_name_are_told_apart() -> None:
    """Asked for by the name that both have, both run; asked for by its own, one."""
    assert titles(scenarios=("keys",)) == ["keys 22.05", "keys 24.11", "molecule keys 24.11"]
    assert titles(scenarios=("molecule keys",)) == ["molecule keys 24.11"]


def test_the_table_names_what_exists() -> None:
    """A part that was renamed, or is new, must not drop out of the matrix unseen."""
    assert sorted(parts.table()) == parts.found()
    for name, row in parts.table().items():
        assert set(row) <= {"every", "releases", "only"}, name
        only = [row["only"]] if "only" in row else []
        assert {*row.get("releases", ()), *row.get("every", ()), *only} <= set(run.RELEASES)


def test_the_nightly_run_has_a_job_for_each_part() -> None:
    """The hosted workflow cannot read the table."""
    workflow = yaml.safe_load((run.ROOT / ".github/workflows/ci.yml").read_text())
    assert sorted(workflow["jobs"]["nightly"]["strategy"]["matrix"]["part"]) == parts.found()


def test_runs_are_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable that somebody counts up; without one no share is taken."""
    for name in parts.RUN_NUMBER:
        monkeypatch.delenv(name, raising=False)
    assert parts.run_number() is None
    monkeypatch.setenv("GITHUB_RUN_NUMBER", "41")
    assert parts.run_number() == 41
    monkeypatch.setenv("SLURMREST_TEST_RUN", "2")
    assert parts.run_number() == 2


@pytest.mark.usefixtures("table")
def test_seconds_are_kept() -> None:
    """What was measured anew replaces what was known; the rest stays."""
    parts.record({"keys 22.05": 61.7})
    assert {part.title: part.seconds for part in parts.matrix(("22.05", "24.11")) if part.seconds != 300} == {
        "keys 22.05": 62,
        "long 24.11": 900,
    }


def test_a_share_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The output names what takes its turn, before it begins; where runs have no number, that there is none."""
    monkeypatch.setattr(run, "run", lambda *_: [])
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("ANSIBLE_CONFIG", "")
    assert run.main(["containers", "--share", "2"]) == 0
    assert "(share 2 of 0 to 4): " in capsys.readouterr().out
    for name in parts.RUN_NUMBER:
        monkeypatch.delenv(name, raising=False)
    assert run.main(["containers"]) == 0
    assert "(no share: this run has no number): nothing" in capsys.readouterr().out
