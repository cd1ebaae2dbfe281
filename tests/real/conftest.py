"""Options of the tests that need a running cluster: pytest tests/real --release 24.11 [--full]."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that choose the release and the breadth."""
    parser.addoption("--release", default="24.11", help="Slurm series of the clusters that are started")
    parser.addoption("--full", action="store_true", help="run what takes longer, too")
    parser.addoption(
        "--cluster",
        help="give the faults (choose with -k) and the topics ha, gateway and page to this running cluster",
    )
    parser.addoption("--keep", action="store_true", help="leave the cluster of the command-line tests running")


@pytest.fixture(scope="session")
def release(pytestconfig: pytest.Config) -> str:
    """Return the Slurm series of the clusters that are started."""
    series: str = pytestconfig.getoption("--release")
    return series


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    """Return whether to run what takes longer."""
    chosen: bool = pytestconfig.getoption("--full")
    return chosen
