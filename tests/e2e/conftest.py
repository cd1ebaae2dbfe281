"""One cluster, started as the README says, for all tests of this folder: pytest tests/e2e --release 24.11."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from testcluster.suites import DEFAULT_SERIES, SUITES

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SLURMREST = str(ROOT / "scripts" / "slurmrest")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this folder."""
    parser.addoption("--release", default=DEFAULT_SERIES, choices=sorted(SUITES), help="Slurm series of the cluster")
    parser.addoption("--keep", action="store_true", help="leave the cluster running")


def slurmrest(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command and return its outcome."""
    return subprocess.run([SLURMREST, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def name(request: pytest.FixtureRequest) -> str:
    """The cluster's name."""
    release: str = request.config.getoption("--release")
    return f"e2e-{release.replace('.', '')}"


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, name: str) -> Iterator[dict[str, Any]]:
    """A cluster as ``up --json`` describes it."""
    release: str = request.config.getoption("--release")
    slurmrest("cluster", "down", name)
    # The tests take a package index that lags behind as it is.
    command = [SLURMREST, "cluster", "up", "--json", "--allow-stale-mirror", f"--slurm={release}", f"--name={name}"]
    up = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert up.returncode == 0
    yield json.loads(up.stdout)
    if not request.config.getoption("--keep"):
        assert slurmrest("cluster", "down", name).returncode == 0
