"""The pytest plugin, in runs of its own, with clusters that are played."""

from __future__ import annotations

import re
import signal
import subprocess
import textwrap
import time
from typing import TYPE_CHECKING

import pytest

from slurmrest_toolkit.pytest_plugin import plugin
from tests.unit.played_pytest import PLAYED, TRACED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.played_pytest import Trial

pytest_plugins = ["pytester"]


def test_without_a_word_the_default_is_started_once_and_removed(trial: Trial) -> None:
    trial.run("-q").assert_outcomes(passed=3, skipped=1)
    assert trial.notes[0] == "start pytest-X None single 1 False quick"
    assert trial.notes[-1] == "down pytest-X"
    assert (trial.count("start"), trial.count("users"), trial.count("cancel")) == (1, 1, 2)
    assert trial.left() == []


def test_whoever_waits_for_long_is_told_why(trial: Trial) -> None:
    words = "slurmrest: starting Slurm 24.11; the first start makes images"
    assert words not in trial.run("--slurm", "24.11").stdout.str()
    hasty = "from slurmrest_toolkit.pytest_plugin import plugin\nplugin.SOON = 0.05\n"
    trial.pytester.makeconftest(textwrap.dedent(PLAYED) + hasty)
    done = trial.run("--slurm", "24.11")
    done.assert_outcomes(passed=3, skipped=1)
    assert done.stdout.str().count(words) == 1


def test_each_test_has_a_user_of_its_own(trial: Trial) -> None:
    trial.pytester.makepyfile("""
        import pytest

        @pytest.mark.parametrize("n", range(20))
        def test(n, slurmrestd):
            pass
    """)
    trial.run("-q").assert_outcomes(passed=20)
    lines = (trial.state / "notes").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("cancel")]
    assert len(set(users)) == len(users) == 20


@pytest.mark.parametrize("how", ["option", "ini", "all"])
def test_releases_parametrise(trial: Trial, how: str) -> None:
    if how == "ini":
        trial.pytester.makeini("[pytest]\nslurm = 24.11 22.05\nslurm_layout = split\nslurm_nodes = 2\n")
    words = {"option": ["--slurm", "22.05", "--slurm", "24.11"], "ini": [], "all": ["--slurm", "all"]}[how]
    done = trial.run("-v", *words)
    count = 3 if how == "all" else 2
    done.assert_outcomes(passed=count * 2 + 1, skipped=count)
    done.stdout.fnmatch_lines(["*test_one?22.05? PASSED*", "*test_two?22.05? SKIPPED*"])
    assert (trial.count("start"), trial.count("down")) == (count, count)
    assert ("start pytest-2205-X 22.05 split 2 False quick" in trial.notes) is (how == "ini")
    # The first is gone before the next one comes.
    order = [line.split()[0] for line in trial.notes if line.split()[0] in ("start", "down")]
    assert order == ["start", "down"] * count


def test_a_fixture_of_the_conftest_decides(trial: Trial) -> None:
    conftest = textwrap.dedent(PLAYED) + textwrap.dedent("""
        @pytest.fixture(scope="session")
        def slurm_release():
            return "22.05"

        @pytest.fixture(scope="session")
        def slurm_allow_stale_mirror():
            return True
    """)
    trial.pytester.makeconftest(conftest)
    trial.run("-q").assert_outcomes(passed=3, skipped=1)
    assert trial.notes[0] == "start pytest-2205-X 22.05 single 1 True quick"


def test_workers_share_one_cluster_of_each_release(trial: Trial) -> None:
    trial.pytester.makepyfile("""
        import pytest

        @pytest.mark.parametrize("n", range(8))
        def test(n, slurmrestd, slurm_release, request):
            assert request.node.get_closest_marker("xdist_group").args == (f"slurm-{slurm_release}",)
    """)
    releases = ("--slurm", "22.05", "--slurm", "24.11")
    trial.run("-p", "xdist", "-n", "2", *releases).assert_outcomes(passed=16)
    assert (trial.count("start"), trial.count("down"), trial.count("cancel")) == (2, 2, 16)
    assert trial.left() == []


def test_a_start_that_fails_is_tried_once(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKEN", "1")
    done = trial.run("-p", "xdist", "-n", "2", "--slurm", "22.05")
    done.assert_outcomes(passed=1, skipped=1, errors=2)
    done.stdout.fnmatch_lines(["*no room*"])
    assert (trial.count("start"), trial.left()) == (1, [])


def test_a_failing_test_shows_what_the_daemons_logged(trial: Trial) -> None:
    trial.pytester.makepyfile("def test(slurmrestd): assert 0\ndef test_without(): assert 0\n")
    done = trial.run()
    done.assert_outcomes(failed=2)
    done.stdout.fnmatch_lines(["*journal of Slurm's daemons*", "slurmctld: error: the cause"])
    assert str(done.stdout).count("journal of Slurm's daemons") == 1


def test_what_is_said_twice_is_shown_once() -> None:
    lines = ["12 n slurmrestd[7]: error: x", "12 n slurmrestd[7]: slurmrestd: error: x", "12 n slurmctld[8]: y"]
    assert list(plugin._once(lines)) == [lines[0], lines[2]]
    assert list(plugin._once([lines[1], lines[0], lines[2], lines[2]])) == [lines[1], lines[2], lines[2]]


def test_what_a_killed_run_left_goes_with_the_next_one(trial: Trial) -> None:
    trial.pytester.makepyfile("""
        import time

        def test(slurm_cluster):
            print("up", flush=True)
            time.sleep(600)
    """)
    with subprocess.Popen(trial.argv("-s", "-q"), stdout=subprocess.PIPE, text=True, cwd=trial.pytester.path) as run:
        assert run.stdout is not None
        assert any("up" in line for line in run.stdout)
        trial.pytester.makepyfile("def test(slurm_cluster): pass\n")
        trial.run("-q").assert_outcomes(passed=1)
        assert (trial.count("start"), trial.count("down")) == (2, 1)  # the run beside it lives
        run.send_signal(signal.SIGKILL)
        run.wait()
    trial.run("-q").assert_outcomes(passed=1)
    assert (trial.count("start"), trial.count("down")) == (3, 3)
    assert trial.left() == []


def test_a_worker_that_crashes_leaves_nothing(trial: Trial) -> None:
    trial.pytester.makepyfile("import os, signal\ndef test(slurm_cluster): os.kill(os.getpid(), signal.SIGKILL)\n")
    trial.run("-p", "xdist", "-n", "1", "--max-worker-restart=0")
    assert (trial.count("start"), trial.count("down"), trial.left()) == (1, 1, [])


@pytest.mark.parametrize("suite", ["def test(slurm_cluster): pass", "def test(): pass"], ids=["clusters", "none"])
def test_what_cannot_be_removed_of_other_runs_is_told_and_fails_nothing(trial: Trial, suite: str) -> None:
    stuck = """
        def refusing(names, progress, down=remove.down):
            if "pytest-stuck" in names:
                raise ClusterFailedError("podman rm failed: it is busy")
            down(names, progress)

        remove.down = refusing
    """
    trial.pytester.makeconftest(textwrap.dedent(PLAYED) + textwrap.dedent(stuck))
    trial.pytester.makepyfile(suite)
    for name in ("pytest-stuck", "pytest-left", "pytest-2205-left"):
        trial.standing(name, "24.11")
        (trial.state / "pytest").mkdir(exist_ok=True)
        (trial.state / "pytest" / f"{name}.users").touch()
    (trial.state / "pytest/pytest-2205.lock").mkdir()
    done = trial.run()
    done.assert_outcomes(passed=1)
    assert done.ret == 0
    done.stdout.fnmatch_lines(
        [
            "slurmrest: could not be removed: pytest-2205-left: *pytest-2205.lock*",
            "slurmrest: could not be removed: pytest-stuck: podman rm failed: it is busy",
        ]
    )
    assert "down pytest-left" in trial.notes
    assert sorted(path.name for path in (trial.state / "clusters").iterdir()) == ["pytest-2205-left", "pytest-stuck"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--slurm", "19.05"], "--slurm: '19.05' is refused. Allowed: 22.05, 24.11, 26.05, all"),
        (["--slurm", "24.11", "--slurm-cluster", "one"], "--slurm-cluster uses a running one"),
        (["--slurm-nodes", "two"], "--slurm-nodes: 'two' is refused. Allowed: a number"),
        (["--slurm-url", "http://127.0.0.1:1"], "--slurm-token-file=FILE"),
        (["--slurm-cluster", "one"], "There is no cluster called one"),
        (["--slurm-cluster", "one", "--slurm-url", "http://127.0.0.1:1"], "give one of them"),
        (["--slurm-layout", "splitt"], "--slurm-layout: 'splitt' is refused. Allowed: single or split"),
        (
            ["--slurm-nodes", "2"],
            "--slurm-nodes: 2 is refused. Allowed: 1 with --slurm-layout single. Use --slurm-layout",
        ),
        (["--slurm-url", "http://127.0.0.1:1", "--slurm-token-file", "none"], "--slurm-token-file: 'none' is"),
    ],
)
def test_what_is_refused(trial: Trial, arguments: Sequence[str], words: str) -> None:
    done = trial.run(*arguments)
    assert done.ret != 0
    said = str(done.stdout) + str(done.stderr)
    assert words in said
    assert not re.search(TRACED, said, re.MULTILINE)
    assert trial.count("start") == 0


def test_a_run_without_clusters_imports_nothing_that_starts_them(trial: Trial) -> None:
    trial.pytester.makepyfile("""
        import sys

        def test():
            heavy = {"ansible", "rich", "yaml", "slurmrest_toolkit.clusters.lifecycle"}
            assert heavy.isdisjoint(sys.modules)
    """)
    trial.pytester.makeconftest("")
    begun = time.monotonic()
    trial.run("-q").assert_outcomes(passed=1)
    assert time.monotonic() - begun < 60
    assert not (trial.state / "pytest").exists()
