"""What --check --diff announces on a configured host is exactly what the real run does then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.clusters import LiveCluster, live_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLBACKS = Path(__file__).with_name("callbacks")
SOCKET = "unix:/run/slurmrestd/slurmrestd.socket"
STATE = r"""
find /etc /run/slurmrestd /usr/lib/tmpfiles.d /var/lib/slurm ! -type s ! -path '/var/lib/slurm/slurm*' \
    -printf '%p %u:%g %m %T@\n' | sort
# slurmctld saves its state every five minutes, whoever looks.
find /var/lib/slurm -maxdepth 1 -name 'slurm*' -printf '%p %u:%g %m\n' | sort
for unit in slurmdbd slurmctld slurmd slurmrestd; do systemctl show -p Id -p MainPID $unit; done
getent passwd; getent group
"""

CHANGES: dict[str, dict[str, Any]] = {
    "service": {
        "slurmrestd_service_listen": ["0.0.0.0:6820", "127.0.0.1:6830", SOCKET],
        "slurmrestd_service_threads": 8,
        "slurmrestd_service_debug": "5",
        "slurmrestd_service_extra_options": "-v",
        "slurmrestd_service_environment": {"SITE_WORD": "yes"},
        "slurmrestd_service_sandbox": {"PrivateUsers": "no"},
    },
    "group": {"slurmrestd_service_socket_group": "portal"},
    "everyone": {"slurmrestd_service_socket_everyone": True},
    "account": {"slurm_common_slurmrestd_user": "other", "slurm_common_slurmrestd_group": "other"},
    "daemons": {
        "slurm_conf_partitions": [{"name": "main", "nodes": "ALL", "default": True}, {"name": "second"}],
        "slurm_conf_dbd_options": {"DebugLevel": "verbose"},
    },
}


@pytest.fixture(scope="module")
def cluster(release: str) -> Iterator[LiveCluster]:
    with live_cluster("adopt-check", release) as live:
        live.ssh("node1", "groupadd --system portal")
        live.playbook("deploy.yml").good()
        yield live


def run(cluster: LiveCluster, record: Path, variables: dict[str, Any], *words: str) -> list[dict[str, Any]]:
    """Deploy, and return what was changed, or would be: host, task and differences, in the order of the run."""
    record.unlink(missing_ok=True)
    cluster.playbook(
        "deploy.yml",
        "--diff",
        *words,
        variables=variables,
        environment={
            "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
            "ANSIBLE_CALLBACKS_ENABLED": "recorded_changes",
            "RECORDED_CHANGES": str(record),
        },
    ).good()
    return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []


@pytest.mark.parametrize("name", CHANGES)
def test_the_announcement_comes_true(cluster: LiveCluster, tmp_path: Path, name: str) -> None:
    record, variables = tmp_path / "changes", CHANGES[name]
    before = cluster.ssh("node1", STATE)
    announced = run(cluster, record, variables, "--check")
    assert cluster.ssh("node1", STATE) == before, "check mode changes nothing"
    assert announced
    assert run(cluster, record, variables) == announced
    assert any(difference["after"] for change in announced for difference in change["diff"])
    assert run(cluster, record, variables) == []
    back = run(cluster, record, {}, "--check")
    assert back
    assert run(cluster, record, {}) == back


def test_where_nothing_is_to_do_nothing_is_announced(cluster: LiveCluster, tmp_path: Path) -> None:
    assert run(cluster, tmp_path / "changes", {}, "--check") == []
    assert run(cluster, tmp_path / "changes", {}) == []
