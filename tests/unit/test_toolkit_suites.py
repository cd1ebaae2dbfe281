"""What a suite offers, read from apt's words."""

from __future__ import annotations

import itertools
import re

import pytest
import yaml
from slurmrest.errors import InputError

from slurmrest_toolkit.images.suites import SUITES, check_series, offered_version, suite_of
from slurmrest_toolkit.support.errors import CannotRunError
from tests.meta.tree import ROOT

SIMULATED = """I: running apt-get install
Inst libc6 (2.41-12 Debian:13.1/stable [amd64])
Inst slurmrestd (24.11.5-4+deb13u1 Debian-Security:13/stable-security [amd64])
Conf slurmrestd (24.11.5-4+deb13u1 Debian-Security:13/stable-security [amd64])
"""
EXPIRED = """Get:1 http://mirror.example/debian forky InRelease [151 kB]
E: Release file for http://mirror.example/debian/dists/forky/InRelease is expired (invalid since 14d 2h 36min 12s).
E: mmdebstrap failed to run
"""


def test_version_is_that_of_the_simulated_installation() -> None:
    assert offered_version(SIMULATED, "trixie") == "24.11.5-4+deb13u1"


def test_lagging_mirror_is_named_with_the_way_out() -> None:
    with pytest.raises(CannotRunError, match=r"dists/forky/InRelease.*--allow-stale-mirror"):
        offered_version(EXPIRED, "forky")


def test_other_troubles_are_shown() -> None:
    with pytest.raises(CannotRunError, match="Unable to locate package slurmrestd"):
        offered_version("E: Unable to locate package slurmrestd\n", "sid")
    with pytest.raises(CannotRunError, match="no package slurmrestd"):
        offered_version("", "sid")


def test_suite_that_moved_on_is_refused() -> None:
    check_series("26.05.5-1", "26.05", "forky has moved on to")
    with pytest.raises(CannotRunError, match=r"26\.05 was asked for, but forky has moved on to 26\.11\.1-1\."):
        check_series("26.11.1-1", "26.05", "forky has moved on to")


def test_every_series_has_a_suite_and_others_are_refused() -> None:
    assert {suite_of(series) for series in SUITES} == {"bookworm", "trixie", "forky"}
    with pytest.raises(InputError, match=r"--slurm: '23\.02' is refused"):
        suite_of("23.02")


def test_pages_name_the_series_of_the_table() -> None:
    table = (ROOT / "docs/testcluster.md").read_text().partition("| `--slurm` | Debian suite |")[2].partition("\n\n")[0]
    assert dict(re.findall(r"^\| (\S+) \| (\S+) \|$", table, re.MULTILINE)) == SUITES
    matrix = re.search(r"^ +slurm: (\[.*\])$", (ROOT / "docs/ci.md").read_text(), re.MULTILINE)
    assert matrix is not None
    assert yaml.safe_load(matrix[1]) == list(SUITES)
    *others, last = SUITES
    assert f" {', '.join(others)} and {last}." in (ROOT / "README.md").read_text()


def test_hosted_containers_run_on_each_series() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    assert workflow["jobs"]["containers"]["strategy"]["matrix"]["release"] == list(SUITES)


def test_the_upgrade_of_molecule_goes_from_one_suite_to_the_next() -> None:
    folder = ROOT / "molecule" / "upgrade"
    steps = re.findall(r"next_suite\.sh (\w+) (\w+)", (folder / "prepare.yml").read_text())
    assert steps
    assert set(steps) <= set(itertools.pairwise(SUITES.values()))
    reached = re.findall(r"' (\d\d\.\d\d)\.' not in", (folder / "verify.yml").read_text())
    assert [SUITES.get(series) for series in reached] == [suite for _, suite in steps]
