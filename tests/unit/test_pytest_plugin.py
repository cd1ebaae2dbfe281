"""The pytest plugin, in runs of its own, with clusters that are played: folders, and notes of what happened to them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slurmrest_toolkit.pytest_plugin import plugin

if TYPE_CHECKING:
    from collections.abc import Sequence

pytest_plugins = ["pytester"]

SRC = Path(__file__).resolve().parents[2]
PLAYED = """
    import os, shutil, time
    from pathlib import Path

    import pytest
    from slurmrest_toolkit import api
    from slurmrest_toolkit.clusters import remove
    from slurmrest_toolkit.support.errors import CannotRunError, ClusterFailedError

    STATE = Path(os.environ["SLURMREST_STATE_DIR"])

    def note(*words):
        with (STATE / "notes").open("a") as stream:
            stream.write(" ".join(map(str, words)) + "\\n")

    class PlayedClient:
        def __init__(self, user):
            self.user = user
            self.url, self.headers, self.api_versions = "http://127.0.0.1:1", {}, ("v0.0.41", "v0.0.42")

        def cancel_jobs(self, *, only_own):
            note("cancel", self.user, only_own)

    class PlayedUser:
        def __init__(self, name):
            self.name = name

        def client(self):
            return PlayedClient(self.name)

    class PlayedCluster:
        def __init__(self, name, release):
            self.name, self.release, self.version = name, release, release + ".5"

        def add_users(self, *names):
            note("users", len(names))
            return tuple(map(PlayedUser, names))

        def remove_users(self, *names):
            note("removed", len(names))

        def logs(self, *, since):
            assert abs(time.time() - since) < 60
            return "slurmctld: error: the cause\\n" * 3

    def start(name, *, slurm, quiet, **how):
        time.sleep(0.2)
        note("start", name, slurm, *how.values())
        (STATE / "locks").mkdir(exist_ok=True)
        (STATE / "locks" / f"{name}.lock").touch()
        if slurm == "22.05" and os.environ.get("BROKEN"):
            raise ClusterFailedError("no room")
        (STATE / "clusters" / name).mkdir(parents=True)
        (STATE / "clusters" / name / "release").write_text(slurm or "24.11")
        return PlayedCluster(name, slurm or "24.11")

    def attach(name):
        try:
            return PlayedCluster(name, (STATE / "clusters" / name / "release").read_text())
        except FileNotFoundError:
            raise CannotRunError(f"There is no cluster called {name}.")

    def down(names, progress):
        for name in names:
            if not (STATE / "clusters" / name).exists():
                raise CannotRunError(f"There is no cluster called {name}.")
            shutil.rmtree(STATE / "clusters" / name)
            note("down", name)

    api.start, api.attach, remove.down = start, attach, down
    import slurmrest_toolkit
    slurmrest_toolkit.attach = attach
"""
SUITE = """
    import pytest

    def test_one(slurmrestd, slurm_cluster):
        assert slurmrestd.user.startswith("test-")

    @pytest.mark.slurm(">=24.11")
    def test_two(slurmrestd):
        pass

    @pytest.mark.slurm("<24.11")
    def test_three(slurmrestd):
        pass

    def test_four():
        pass
"""


class Trial:
    """A folder with a suite, and a state directory beside it."""

    def __init__(self, pytester: pytest.Pytester, state: Path) -> None:
        self.pytester, self.state = pytester, state
        pytester.makeconftest(textwrap.dedent(PLAYED))
        pytester.makepyfile(textwrap.dedent(SUITE))

    @property
    def notes(self) -> list[str]:
        """What happened to the clusters, their names cut to what is the same in each run."""
        file = self.state / "notes"
        text = file.read_text() if file.exists() else ""
        return [re.sub(r"-[0-9a-f]{10}\b", "-X", line) for line in text.splitlines()]

    def count(self, word: str) -> int:
        return sum(line.split()[0] == word for line in self.notes)

    def argv(self, *arguments: str) -> list[str]:
        plugins = ("-p", "slurmrest_toolkit.pytest_plugin.plugin", "-p", "no:cacheprovider")
        return [sys.executable, "-m", "pytest", *plugins, *arguments]

    def run(self, *arguments: str) -> pytest.RunResult:
        return self.pytester.run(*self.argv(*arguments), timeout=120)

    def left(self) -> list[str]:
        """What is there of clusters and their users."""
        folders = [*(self.state / "clusters").glob("*"), *(self.state / "pytest").glob("*.users")]
        if not folders:
            folders = [*(self.state / "locks").glob("*")]
        return [path.name for path in folders] + [path.name for path in (self.state / "pytest").glob("*.failed")]


@pytest.fixture(name="trial")
def a_trial(pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    state = tmp_path / "state"
    state.mkdir()
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(state))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(SRC / "src"), str(SRC / "plugins/module_utils"))))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return Trial(pytester, state)


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


def test_a_cluster_that_is_kept_is_named_and_can_be_used_again(trial: Trial) -> None:
    done = trial.run("-p", "xdist", "-n", "2", "--slurm-keep", "--slurm", "24.11")
    (name,) = trial.left()
    done.stdout.fnmatch_lines([f"kept: {name} *"])
    trial.run("--slurm-cluster", name).assert_outcomes(passed=3, skipped=1)
    assert trial.left() == [name]
    assert (trial.count("start"), trial.count("down"), trial.count("removed")) == (1, 0, 1)


def test_a_cluster_that_a_pipeline_has_started_is_used(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tests were green for three releases, and each had run on the default one."""
    trial.run("--slurm-keep")
    (name,) = trial.left()
    monkeypatch.setenv("SLURMREST_CLUSTER", name)
    trial.run().assert_outcomes(passed=3, skipped=1)
    assert trial.count("start") == 1
    trial.run("--slurm", "22.05")
    assert trial.count("start") == 2, "the command line asks for another one"
    trial.run("--slurm-cluster", "none").stderr.fnmatch_lines(["ERROR: *none*"])


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


TRACED = r"Traceback|\.py:\d+: (UsageError|Failed|in )|^>  "
"""What pytest shows of code."""


@pytest.mark.parametrize("how", [[], ["--slurm", "24.11"], ["--slurm", "24.11", "-p", "xdist", "-n", "1"]])
@pytest.mark.parametrize("mark", ["slurm()", "slurm('24.11')", "slurm('>=24.11.2')"])
def test_a_mark_that_means_nothing_fails_its_test_before_anything_is_started(
    trial: Trial, mark: str, how: Sequence[str]
) -> None:
    trial.pytester.makepyfile(f"import pytest\n@pytest.mark.{mark}\ndef test(slurmrestd): pass\n")
    done = trial.run(*how)
    said = str(done.stdout) + str(done.stderr)
    assert "mark slurm: " in said
    assert not re.search(TRACED, said, re.MULTILINE)
    assert done.ret != 0
    assert trial.notes == []


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
