"""The pytest plugin on what runs already: named on the command line, in the ini file, or by a pipeline's variables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.unit.fake_slurmrestd import STYLES, FakeSlurmrestd, serving, token
from tests.unit.played_pytest import TRACED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.played_pytest import Trial

pytest_plugins = ["pytester"]

WHO = """
    def test(slurmrestd, slurm_cluster):
        print("with", slurm_cluster.url if hasattr(slurm_cluster, "url") else slurm_cluster.name, slurmrestd.user)
"""


@pytest.fixture(name="token_file")
def a_token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(token("alice").reveal())
    file.chmod(0o600)
    return file


@pytest.fixture(name="url")
def where_somebody_serves() -> Iterator[str]:
    with serving(FakeSlurmrestd(STYLES["24.11"], instead={"jobs": (200, {"jobs": []})})) as target:
        yield target.url


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


def test_a_url_that_a_pipeline_tells_of_is_used(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, url: str, token_file: Path
) -> None:
    """Its cluster is root's, and the tests run as somebody else: their own engine does not know it."""
    trial.pytester.makepyfile(WHO)
    monkeypatch.setenv("SLURMREST_URL", url)
    monkeypatch.setenv("SLURMREST_TOKEN_FILE", str(token_file))
    done = trial.run("-s")
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines([f"*with {url} alice*"])
    assert trial.notes == []
    trial.standing("one", "24.11")
    monkeypatch.setenv("SLURMREST_CLUSTER", "one")
    trial.run("-s").stdout.fnmatch_lines(["*with one test-*"])  # of which more is known
    monkeypatch.setenv("SLURMREST_TOKEN_FILE", str(token_file.with_name("none")))
    monkeypatch.delenv("SLURMREST_CLUSTER")
    trial.run().stderr.fnmatch_lines(["ERROR: SLURMREST_TOKEN_FILE: '*none' is refused.*"])


def test_the_url_of_a_users_own_commands_is_no_place_for_tests(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """``export SLURMREST_URL=…`` is how people tell ``slurmrest submit`` where their site's slurmrestd is."""
    trial.pytester.makepyfile(WHO)
    monkeypatch.setenv("SLURMREST_URL", url)
    trial.run("-s").stdout.fnmatch_lines(["*with pytest-* test-*"])
    assert trial.count("start") == 1


def test_the_command_line_counts_most_and_the_environment_least(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, url: str, token_file: Path
) -> None:
    trial.pytester.makepyfile(WHO)
    for name in ("typed", "kept", "told"):
        trial.standing(name, "24.11")
    monkeypatch.setenv("SLURMREST_CLUSTER", "told")
    monkeypatch.setenv("SLURMREST_TOKEN_FILE", str(token_file))
    trial.run("-s").stdout.fnmatch_lines(["*with told *"])
    trial.run("-s", f"--slurm-url={url}").stdout.fnmatch_lines([f"*with {url} alice*"])
    trial.pytester.makeini("[pytest]\nslurm = 22.05\nslurm_cluster = kept\n")
    trial.run("-s").stdout.fnmatch_lines(["*with kept *"])
    trial.run("-s", "--slurm-cluster", "typed").stdout.fnmatch_lines(["*with typed *"])
    assert trial.count("start") == 0
    for options in (["--slurm", "22.05"], ["--slurm-layout", "split"], ["--slurm-layout=split", "--slurm-nodes=2"]):
        trial.run("-s", *options).stdout.fnmatch_lines(["*with pytest-*"])
    assert [line.split()[2:5] for line in trial.notes if line.startswith("start")] == [
        ["22.05", "single", "1"],
        ["22.05", "split", "1"],
        ["22.05", "split", "2"],
    ]


@pytest.mark.parametrize("way", ["cluster", "url"])
@pytest.mark.parametrize("option", ["slurm=24.11", "slurm-layout=split", "slurm-nodes=1"])
def test_what_starts_a_cluster_is_refused_beside_one_that_runs(trial: Trial, way: str, option: str) -> None:
    trial.standing("one", "24.11")
    where = {"cluster": ["--slurm-cluster=one"], "url": ["--slurm-url=http://127.0.0.1:1"]}[way]
    done = trial.run(*where, f"--{option}")
    words = f"--{option.partition('=')[0]} starts clusters; --slurm-{way} uses a running one: give one of them"
    done.stderr.fnmatch_lines([f"ERROR: {words}"])
    assert not re.search(TRACED, str(done.stderr), re.MULTILINE)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
