"""The wheel in an empty environment, outside any clone: the command, Ansible and the library do what they do in one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.clusters import own_name
from tests.real.leaks.secrets_found import TOKEN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.wheel.conftest import Environment

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
    assert "pip install 'WHEEL[cluster]'" in missing.stderr


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


def test_the_events_of_ansible_runner_hold_no_token(
    whole: Environment, cluster: dict[str, Any], tmp_path: Path
) -> None:
    """They hold the whole result of each module, also what is printed nowhere."""
    whole.good("pip", "install", "--quiet", "--disable-pip-version-check", "ansible-runner==2.4.3")
    run = ("run", str(tmp_path), "--inventory", cluster["inventory"], "--playbook", "slurmrest.toolkit.deploy")
    whole.good("ansible-runner", *run)
    events = [path.read_bytes() for path in tmp_path.glob("artifacts/*/job_events/*.json")]
    assert any(b"all good" in event for event in events)
    assert [event for event in events if TOKEN.search(event)] == []
    last = next(told for told in map(json.loads, events) if told["event"] == "playbook_on_stats")
    assert not any(last["event_data"][key] for key in ("changed", "failures", "dark"))


@pytest.mark.usefixtures("cluster")
def test_the_library_starts_a_cluster_and_removes_it(whole: Environment, release: str) -> None:
    out = whole.good("python", "-c", WITH, own_name("real-wheel-lib", release), release)
    first, second = out.splitlines()
    assert json.loads(first) == {"release": release, "status": 200, "logged": True}
    assert second == "False"
