"""slurmrest.pyz on a node, with the node's own Python: what users do, and the doctor for the host it runs on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.clusters import ROOT, LiveCluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE = "/usr/local/bin/slurmrest.pyz"
ALICE = "runuser -u alice -- env -C /tmp PATH=/usr/bin:/bin"
SCRIPT = "#!/bin/sh\\n#SBATCH --output=/tmp/of-the-job\\ntrue\\n"


@pytest.fixture(scope="module", name="node")
def a_node_with_the_file(
    cluster: dict[str, Any], release: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveCluster]:
    file: Path = tmp_path_factory.mktemp("pyz") / "slurmrest.pyz"
    subprocess.run([sys.executable, str(ROOT / "scripts" / "build_pyz.py"), "--output", str(file)], check=True)
    live = LiveCluster(cluster["name"], release)
    with file.open("rb") as stream:
        target = ["node1", "sudo", "install", "-m", "0755", "/dev/stdin", FILE]
        subprocess.run(["ssh", "-F", cluster["ssh_config"], *target], stdin=stream, check=True)
    yield live
    live.ssh("node1", f"rm -f {FILE}")


def test_it_says_what_it_is(node: LiveCluster) -> None:
    assert re.match(r"slurmrest \d\S+ \(one file.*\)\nPython 3\.\d+\.", node.ssh("node1", f"{FILE} --version"))


def test_root_proves_the_daemon(node: LiveCluster) -> None:
    report = json.loads(node.ssh("node1", f"{FILE} verify --scontrol --user root --job --job-user alice --json"))
    assert report["ok"]


def test_a_user_gets_a_token_and_runs_a_job(node: LiveCluster) -> None:
    node.ssh("node1", f"printf '{SCRIPT}' >/tmp/job.sh; chmod 0644 /tmp/job.sh")
    node.ssh("node1", f"{ALICE} {FILE} token --output /tmp/token-of-alice")
    done = json.loads(
        node.ssh("node1", f"{ALICE} {FILE} submit --token-file /tmp/token-of-alice --wait --json /tmp/job.sh")
    )
    assert done["job"]["state"] == "COMPLETED"
    shown = node.ssh("node1", f"{ALICE} {FILE} job show --token-file /tmp/token-of-alice {done['job_id']}")
    assert "COMPLETED" in shown


def test_the_doctor_finds_a_healthy_host(node: LiveCluster) -> None:
    report = json.loads(node.ssh("node1", f"{FILE} doctor --json"))
    assert report["findings"] == []
    assert (report["healthy"], report["unseen"], report["host"]) == (True, [], "node1")
    assert report["slurm_version"].startswith(f"{node.release}.")


def test_the_doctor_wants_root(node: LiveCluster) -> None:
    done = node.ssh("node1", f"{ALICE} {FILE} doctor 2>&1; echo $?", check=False)
    assert "Run it as root." in done
    assert done.splitlines()[-1] == "2"


def test_the_doctor_names_a_cause_and_changes_nothing(node: LiveCluster) -> None:
    key = "/var/lib/slurm/jwt/jwt_hs256.key"
    look = f"stat -c '%a %U %Y' {key}; systemctl show -p ActiveEnterTimestamp slurmctld slurmrestd"
    node.ssh("node1", f"chmod 0644 {key}")
    try:
        before = node.ssh("node1", look)
        found = json.loads(node.ssh("node1", f"{FILE} doctor --json", check=False))
        assert "jwt-key-open" in [finding["id"] for finding in found["findings"]]
        assert node.ssh("node1", look) == before
    finally:
        node.ssh("node1", f"chmod 0600 {key}")


def test_the_doctor_says_when_slurmrestd_is_down(node: LiveCluster) -> None:
    node.ssh("node1", "systemctl stop slurmrestd")
    try:
        text = node.ssh("node1", f"{FILE} doctor", check=False)
        assert text.startswith("not healthy: ")
        assert "systemctl enable --now slurmrestd" in text
    finally:
        node.ssh("node1", "systemctl start slurmrestd")
