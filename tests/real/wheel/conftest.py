"""A wheel, environments with it, and a cluster that was started from one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.clusters import ROOT, own_name, slurmrest

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and a folder to stand in that is no clone."""

    python: Path
    folder: Path

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one of its programs; the tests' own environment is not seen."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON"))}
        return subprocess.run(
            [str(self.python.with_name(program)), *words],
            cwd=self.folder,
            env={
                **inherited,
                "PATH": os.pathsep.join((str(self.python.parent), "/usr/sbin", "/usr/bin", "/sbin", "/bin")),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def good(self, program: str, *words: str) -> str:
        """The same, and what it printed; fail the test where it fails."""
        done = self.run(program, *words)
        assert done.returncode == 0, f"{program} {' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def installed(folder: Path, wheel: Path, extra: str) -> Environment:
    """Make a virtual environment with the wheel in it, as pip is configured on this machine."""
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    environment = Environment(folder / "venv" / "bin" / "python", folder)
    environment.good("pip", "install", "--quiet", "--disable-pip-version-check", f"{wheel}{extra}")
    return environment


@pytest.fixture(scope="session", name="wheel")
def a_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return next(directory.glob("*.whl"))


@pytest.fixture(scope="session", name="plain")
def without_extra(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Environment:
    return installed(tmp_path_factory.mktemp("plain"), wheel, "")


@pytest.fixture(scope="session", name="whole")
def with_the_extra(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Environment:
    return installed(tmp_path_factory.mktemp("whole"), wheel, "[cluster]")


@pytest.fixture(scope="session", name="cluster")
def a_cluster_from_the_wheel(whole: Environment, release: str) -> Iterator[dict[str, Any]]:
    name = own_name("real-wheel", release)
    slurmrest("cluster", "down", name)
    try:
        up = whole.good(
            "slurmrest", "cluster", "up", "--name", name, "--slurm", release, "--allow-stale-mirror", "--json"
        )
        found: dict[str, Any] = json.loads(up)
        yield found
    finally:
        slurmrest("cluster", "down", name)
