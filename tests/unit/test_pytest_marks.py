"""Tests for some releases only: on others they are skipped, whatever says the release, and nothing is started."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.unit.fake_slurmrestd import STYLES, FakeSlurmrestd, serving, token
from tests.unit.played_pytest import PLAYED, TRACED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.unit.played_pytest import Trial

pytest_plugins = ["pytester"]

NEWER = """
    import pytest

    pytestmark = pytest.mark.slurm(">=26.05")

    @pytest.fixture(scope="module")
    def what_newer_releases_have(slurm_cluster):
        assert slurm_cluster.release == "26.05"

    def test_with_the_cluster_alone(slurm_cluster):
        pass

    def test_with_a_user(slurm_user):
        pass

    def test_with_requests(slurmrestd):
        pass

    def test_through_a_fixture_of_its_own(what_newer_releases_have):
        pass
"""
RELEASE = """
@pytest.fixture(scope="session")
def slurm_release():
    return "22.05"
"""


@pytest.mark.parametrize("how", ["default", "option", "ini", "fixture", "workers"])
def test_no_cluster_is_started_for_tests_that_are_not_for_its_release(trial: Trial, how: str) -> None:
    trial.pytester.makepyfile(textwrap.dedent(NEWER))
    if how == "ini":
        trial.pytester.makeini("[pytest]\nslurm = 24.11\n")
    if how == "fixture":
        trial.pytester.makeconftest(textwrap.dedent(PLAYED) + RELEASE)
    options = {"option": ["--slurm", "24.11"], "workers": ["-p", "xdist", "-n", "2"]}
    done = trial.run("-rs", *options.get(how, []))
    done.assert_outcomes(skipped=4)
    done.stdout.fnmatch_lines([f"*Slurm {'22.05' if how == 'fixture' else '24.11'} is not >=26.05"])
    assert trial.notes == []


@pytest.mark.parametrize("how", ["option", "variable"])
def test_the_release_of_a_cluster_that_stands_decides(trial: Trial, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    trial.pytester.makepyfile(textwrap.dedent(NEWER))
    for name, release, outcome in (("old", "24.11", "skipped"), ("new", "26.05", "passed")):
        trial.standing(name, release)
        if how == "variable":
            monkeypatch.setenv("SLURMREST_CLUSTER", name)
        trial.run(*(["--slurm-cluster", name] if how == "option" else [])).assert_outcomes(**{outcome: 4})


def test_the_release_of_a_url_decides(trial: Trial, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(token("alice").reveal())
    (tmp_path / "token").chmod(0o600)
    trial.pytester.makepyfile(textwrap.dedent(NEWER))
    with serving(FakeSlurmrestd(STYLES["24.11"])) as target:
        done = trial.run(f"--slurm-url={target.url}", f"--slurm-token-file={tmp_path / 'token'}")
    done.assert_outcomes(skipped=4)


def test_a_test_that_is_skipped_takes_the_cluster_from_no_other(trial: Trial) -> None:
    trial.pytester.makepyfile("""
        import pytest

        newer = pytest.mark.slurm(">=26.05")

        @pytest.fixture(scope="session")
        def version(slurm_cluster):
            return slurm_cluster.version

        @pytest.fixture
        def broken(slurm_cluster):
            pytest.fail("there in newer ones only")

        @newer
        def test_first(slurm_cluster, version):
            pass

        def test_second(slurm_cluster, version):
            assert version == "24.11.5"

        @newer
        @pytest.mark.parametrize("n", range(2))
        def test_third(n, slurm_cluster):
            pass

        @newer
        def test_fourth(broken):
            pass

        def test_fifth(slurmrestd):
            pass

        def test_sixth(broken):
            pass
    """)
    trial.run().assert_outcomes(passed=2, skipped=4, errors=1)
    assert (trial.count("start"), trial.count("down")) == (1, 1)


def test_fixtures_that_are_asked_for_as_a_test_runs(trial: Trial) -> None:
    trial.pytester.makepyfile("""
        import pytest

        @pytest.fixture(scope="session")
        def version(request):
            return request.getfixturevalue("slurm_cluster").version

        @pytest.mark.slurm(">=26.05")
        def test_a_user_of_its_own(request):
            request.getfixturevalue("slurmrestd")
            pytest.fail("it ran")

        @pytest.mark.slurm(">=26.05")
        def test_one_more_with_what_others_need(request, version):
            request.getfixturevalue("slurmrestd")
            pytest.fail("it ran")

        def test_others(version):
            assert version == "24.11.5"
    """)
    trial.run().assert_outcomes(passed=1, skipped=2)


def test_a_cluster_that_a_conftest_wraps(trial: Trial) -> None:
    trial.pytester.makeconftest(
        textwrap.dedent(PLAYED)
        + textwrap.dedent("""
            @pytest.fixture(scope="session")
            def slurm_cluster(slurm_cluster):
                note("wrapped")
                return slurm_cluster
        """)
    )
    trial.run().assert_outcomes(passed=3, skipped=1)
    assert trial.count("wrapped") == 1
    trial.pytester.makepyfile(textwrap.dedent(NEWER))
    trial.run().assert_outcomes(skipped=4)
    assert trial.count("start") == 1


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
