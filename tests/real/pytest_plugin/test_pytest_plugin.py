"""The pytest plugin from the wheel: the example project on real clusters, its own and one that stands."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from slurmrest_toolkit.clusters.liveness import engine_of
from slurmrest_toolkit.clusters.state import STATE_LABEL
from slurmrest_toolkit.support.progress import Progress
from tests.real.clusters import ROOT, LiveCluster, live_cluster
from tests.real.wheel.conftest import Environment, installed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAILING = """
def test_fails(slurmrestd):
    slurmrestd.wait(slurmrestd.submit("#!/bin/sh\\ntrue\\n"))
    assert False, slurmrestd.user
"""
HANGING = """
import time

def test_hangs(slurmrestd):
    print("there:", slurmrestd.url, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module", name="state")
def a_state_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """All clusters of this module are below it, so that what is left can be counted."""
    directory = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURMREST_STATE_DIR", str(directory))
        yield directory


@pytest.fixture(scope="module", name="project")
def the_example_with_the_wheel(tmp_path_factory: pytest.TempPathFactory, state: Path) -> Environment:
    assert state.is_dir()
    directory = tmp_path_factory.mktemp("project")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    environment = installed(directory, next(directory.glob("*.whl")), "[pytest]")
    environment.good("pip", "install", "--quiet", "--disable-pip-version-check", "pytest-xdist")
    for file in (ROOT / "examples" / "pytest").iterdir():
        shutil.copy(file, directory)
    return environment


def left_behind(state: Path) -> list[str]:
    """Return the containers and files of clusters below a state directory."""
    containers = engine_of(None, Progress(quiet=True)).containers(f"{STATE_LABEL}={state}")
    files = [*state.glob("clusters/*"), *state.glob("pytest/*.users"), *state.glob("pytest/*.failed")]
    files += state.glob("locks/pytest-*-*.lock") if not files else []
    return [container.name for container in containers] + [file.name for file in files]


def passed(output: str) -> int:
    """Return how many tests passed; fail the test where one did not."""
    (last,) = re.findall(r"^=* ?(\d+ passed.*? in .*)$", output, re.MULTILINE)
    assert "failed" not in last, output
    assert "error" not in last, output
    return int(last.split()[0])


def test_the_example_with_two_workers(project: Environment, state: Path, release: str) -> None:
    output = project.good("pytest", "-n", "2", "--slurm", release, "--slurm-allow-stale-mirror", "test_client.py")
    old = "1 skipped" in output
    assert passed(output) == 6 - old
    assert left_behind(state) == []


def test_a_failing_test_shows_what_the_daemons_logged_and_a_killed_run_is_cleaned_up(
    project: Environment, state: Path, release: str
) -> None:
    (project.folder / "test_failing.py").write_text(FAILING)
    (project.folder / "test_hanging.py").write_text(HANGING)
    options = ("--slurm", release, "--slurm-allow-stale-mirror")
    command = [str(project.python.with_name("pytest")), "-s", *options, "test_hanging.py"]
    with subprocess.Popen(command, cwd=project.folder, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert any("there: http" in line for line in run.stdout)
        run.send_signal(signal.SIGKILL)
    assert len(left_behind(state)) == 3  # container, folder, file of the users
    done = project.run("pytest", *options, "test_failing.py")
    assert done.returncode == 1
    (user,) = set(re.findall(r"AssertionError: (test-\w+)", done.stdout))
    _, _, journal = done.stdout.partition("journal of Slurm's daemons")
    assert "slurmctld[" in journal
    assert "JobId=" in journal
    assert "slurmrestd[" in journal
    assert user.startswith("test-")
    assert left_behind(state) == []


@pytest.fixture(scope="module", name="standing")
def a_cluster_that_stands(state: Path, release: str) -> Iterator[LiveCluster]:
    assert os.environ["SLURMREST_STATE_DIR"] == str(state)
    with live_cluster("pytest", release) as cluster:
        yield cluster


def test_attached_to_a_running_cluster(project: Environment, standing: LiveCluster) -> None:
    accounts = standing.ssh("node1", "getent passwd | wc -l")
    assert passed(project.good("pytest", "-n", "2", "--slurm-cluster", standing.name, "test_client.py")) >= 5
    assert standing.ssh("node1", "getent passwd | wc -l") == accounts
    assert standing.ssh("node1", "squeue --noheader; ls /home | grep test- || :") == ""
    assert standing.ssh("node1", "sacctmgr --noheader --parsable2 show user format=user").split() == ["alice", "root"]


def test_attached_to_a_url(project: Environment, standing: LiveCluster) -> None:
    port = re.findall(r'"rest_port": (\d+)', (standing.directory / "cluster.json").read_text())[0]
    token = standing.directory / "token.alice"
    foreign = standing.ssh("node1", "runuser -u alice -- sbatch --parsable --hold --chdir=/tmp --wrap=true").strip()
    where = ("--slurm-url", f"http://127.0.0.1:{port}", "--slurm-token-file", str(token))
    done = project.good("pytest", *where, "test_client.py", "-k", "not own_jobs")
    assert passed(done) >= 4
    assert standing.ssh("node1", "squeue --noheader --format=%i").split() == [foreign]
    standing.ssh("node1", f"scancel {foreign}")
