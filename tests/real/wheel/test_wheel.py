"""The wheel in an empty environment, outside any clone: the command, Ansible and the library do what they do in one."""

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

WITH = """
import json, sys, urllib.request
import slurmrest_toolkit

with slurmrest_toolkit.start(sys.argv[1], slurm=sys.argv[2], allow_stale_mirror=True) as cluster:
    alice = cluster.users["alice"]
    url = f"{cluster.url}/slurm/{cluster.api_versions[-1]}/ping"
    with urllib.request.urlopen(urllib.request.Request(url, headers=alice.headers())) as answer:
        status = answer.status
    logged = "slurmrestd" in cluster.logs()
    print(json.dumps({"release": cluster.release, "status": status, "logged": logged}))
print(cluster.directory.exists())
"""


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


def test_the_cluster_is_proven(cluster: dict[str, Any], release: str) -> None:
    assert cluster["slurm_version"].startswith(f"{release}.")
    assert cluster["verify"]["ok"]


def test_what_users_need_takes_no_library(plain: Environment, cluster: dict[str, Any], tmp_path: Path) -> None:
    assert plain.good("pip", "list", "--format=freeze").count("==") <= 3  # pip, perhaps setuptools, and this
    url, token = cluster["base_url"], cluster["user_token"]
    report = json.loads(plain.good("slurmrest", "verify", "--url", url, "--token-file", cluster["token"], "--json"))
    assert report["ok"]
    assert "alice" in plain.good("slurmrest", "token", "inspect", "--token-file", token)
    script = tmp_path / "job.sh"
    script.write_text("#!/bin/sh\n#SBATCH --chdir=/tmp --output=/dev/null\ntrue\n", encoding="ascii")
    where = ("--url", url, "--token-file", token)
    done = plain.run("slurmrest", "submit", *where, "--wait", "--json", str(script))
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    assert job["job"]["state"] == "COMPLETED"
    assert str(job["job_id"]) in plain.good("slurmrest", "job", "show", *where, str(job["job_id"]))
    missing = plain.run("slurmrest", "cluster", "list")
    assert missing.returncode == 2
    assert "slurmrest-toolkit[cluster]" in missing.stderr


def test_the_command_works_on_the_cluster(whole: Environment, cluster: dict[str, Any]) -> None:
    assert str(whole.folder) in whole.good("slurmrest", "--version")
    name = ("--name", cluster["name"])
    assert "pings" in whole.good("slurmrest", "cluster", "curl", *name, "ping")
    assert whole.good("slurmrest", "cluster", "token", *name, "--user", "alice").strip()
    assert "healthy" in whole.good("slurmrest", "doctor", *name)
    listed = json.loads(whole.good("slurmrest", "cluster", "list", "--json"))
    assert ("running", cluster["base_url"]) in [(row["state"], row.get("base_url")) for row in listed]


def test_ansible_finds_the_collection_and_changes_nothing(whole: Environment, cluster: dict[str, Any]) -> None:
    deploy = ("-i", cluster["inventory"], "slurmrest.toolkit.deploy")
    assert "slurmrest/toolkit/playbooks/deploy.yml" in whole.good("ansible-playbook", *deploy, "--syntax-check")
    again = whole.good("ansible-playbook", *deploy)
    assert "changed=0" in again
    assert "changed=1" not in again


@pytest.mark.usefixtures("cluster")
def test_the_library_starts_a_cluster_and_removes_it(whole: Environment, release: str) -> None:
    out = whole.good("python", "-c", WITH, own_name("real-wheel-lib", release), release)
    first, second = out.splitlines()
    assert json.loads(first) == {"release": release, "status": 200, "logged": True}
    assert second == "False"
