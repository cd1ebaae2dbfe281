"""A running test cluster, asked host by host: pytest tests/testinfra --cluster DIRECTORY."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import testinfra  # type: ignore[import-untyped]  # it has no py.typed, and makes its modules at run time

Host = Any
"""A host as testinfra reaches it: testinfra.host.Host."""

GROUPS = ("slurmctld", "slurmdbd", "slurmrestd", "slurmd")
SOCKETS = tempfile.TemporaryDirectory(prefix="ssh-")
"""Of SSH connections; a short path, since OpenSSH appends to it and a hundred bytes are the limit."""
LISTEN = "0.0.0.0:6820,unix:/run/slurmrestd/slurmrestd.socket"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that say what to ask and what to expect."""
    parser.addoption("--cluster", type=Path, required=False, help="state directory of a running test cluster")
    parser.addoption("--listen", default=LISTEN, help="slurmrestd_service_listen as it was deployed, with commas")


def nodes(config: pytest.Config) -> list[dict[str, Any]]:
    """Return the nodes of the cluster, each with its name and roles."""
    directory: Path | None = config.getoption("--cluster")
    if directory is None:
        raise pytest.UsageError("--cluster: the state directory of a running test cluster is needed")
    found: list[dict[str, Any]] = json.loads((directory / "cluster.json").read_text())["nodes"]
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on every host of each group it names: a daemon, ``rest_only``, or ``node`` for all hosts."""
    every = nodes(metafunc.config)
    members = {group: [node["name"] for node in every if group in node["roles"]] for group in GROUPS}
    members["node"] = [node["name"] for node in every]
    members["rest_only"] = [node["name"] for node in every if node["roles"] == ["slurmrestd"]]
    for group, names in members.items():
        if group in metafunc.fixturenames:
            nowhere = pytest.param(None, marks=pytest.mark.skip("this layout has no such host"), id="nowhere")
            metafunc.parametrize(group, names or [nowhere], indirect=True, scope="session")


@cache
def reach(name: str, directory: Path) -> Host:
    """Return a host as root, over one SSH connection for all tests."""
    controlpath = f"{SOCKETS.name}/{name}"
    config = str(directory / "ssh_config")
    return testinfra.get_host(f"ssh://{name}", ssh_config=config, controlpath=controlpath, controlpersist=20, sudo=True)


def host(request: pytest.FixtureRequest) -> Host:
    """Return the host that a test is about."""
    return reach(request.param, request.config.getoption("--cluster"))


slurmctld, slurmdbd, slurmrestd, slurmd, node, rest_only = (
    pytest.fixture(host, scope="session", name=name) for name in (*GROUPS, "node", "rest_only")
)


@pytest.fixture(scope="session")
def listeners(request: pytest.FixtureRequest) -> list[str]:
    """Return the listeners that were asked for."""
    text: str = request.config.getoption("--listen")
    return text.split(",")
