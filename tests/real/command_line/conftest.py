"""One cluster, started as the README says, for all tests of this folder."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.clusters import ROOT, own_name, slurmrest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, release: str) -> Iterator[dict[str, Any]]:
    """A cluster as ``up --json`` describes it, which says on the terminal what it does."""
    name = own_name("real-command", release)
    slurmrest("cluster", "down", name)
    # The tests take a package index that lags behind as it is.
    up = ("cluster", "up", "--json", "--allow-stale-mirror", f"--slurm={release}", f"--name={name}")
    started = subprocess.run([ROOT / "scripts" / "slurmrest", *up], stdout=subprocess.PIPE, text=True, check=False)
    assert started.returncode == 0
    yield json.loads(started.stdout)
    if not request.config.getoption("--keep"):
        slurmrest("cluster", "down", name)
