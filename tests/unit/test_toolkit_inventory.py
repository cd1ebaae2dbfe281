"""The rendered files, judged by their readers: a YAML parser and OpenSSH."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from slurmrest_toolkit.clusters.layouts import plan_nodes
from slurmrest_toolkit.clusters.state import Cluster, Machine
from slurmrest_toolkit.nodes import inventory

DIRECTORY = Path("/state dir/clusters/one-two")


@pytest.fixture(name="cluster")
def a_cluster() -> Cluster:
    nodes = plan_nodes("one-two", "split", 1)
    for number, node in enumerate(nodes):
        node.ssh_port = 40000 + number
    return Cluster("one-two", "24.11.5", "split", "podman", nodes, machine=Machine(2, 1024))


def test_openssh_reads_the_ssh_config_as_meant(cluster: Cluster, tmp_path: Path) -> None:
    config = tmp_path / "ssh_config"
    config.write_text(inventory.render_ssh_config(cluster, DIRECTORY), encoding="utf-8")
    done = subprocess.run(["ssh", "-G", "-F", config, "rest"], capture_output=True, text=True, check=True)
    effective = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    assert effective["hostname"] == "127.0.0.1"
    assert effective["port"] == "40002"
    assert effective["user"] == "admin"
    assert effective["hostkeyalias"] == "slurmrest-one-two-rest"
    assert effective["stricthostkeychecking"] in {"true", "yes"}
    assert effective["userknownhostsfile"] == "/state dir/clusters/one-two/known_hosts"
    assert effective["identityfile"] == "/state dir/clusters/one-two/id_ed25519"
    assert effective["identitiesonly"] == "yes"


def test_known_hosts_has_each_nodes_own_key(cluster: Cluster) -> None:
    keys = {node.name: f"ssh-ed25519 KEY{node.name} root@{node.name}" for node in cluster.nodes}
    assert inventory.render_known_hosts(cluster, keys).splitlines() == [
        f"slurmrest-one-two-{name} ssh-ed25519 KEY{name}" for name in ("ctl", "db", "rest", "c1")
    ]


def test_inventory_groups_nodes_by_role(cluster: Cluster) -> None:
    variables = inventory.role_variables(cluster, cgroup_plugin="disabled")
    document = yaml.safe_load(inventory.render_inventory(cluster, DIRECTORY, variables))["all"]
    members = {group: list(content["hosts"]) for group, content in document["children"].items()}
    assert members == {"slurmctld": ["ctl"], "slurmdbd": ["db"], "slurmrestd": ["rest"], "slurmd": ["c1"]}
    assert document["hosts"]["rest"]["ansible_port"] == 40002
    assert "-o 'StrictHostKeyChecking=yes'" in document["hosts"]["rest"]["ansible_ssh_common_args"]
    assert document["vars"]["ansible_user"] == "admin"
    assert document["vars"]["ansible_become"] is True
    assert document["vars"]["slurm_conf_nodes"] == [{"name": "c1", "cpus": 2, "real_memory": 1024}]
    assert document["vars"]["slurm_conf_cgroup_options"] == {"CgroupPlugin": "disabled"}


def test_a_backup_takes_over_soon() -> None:
    def timeout(layout: str) -> object:
        made = Cluster("x", "24.11.5", layout, "podman", plan_nodes("x", layout, 1), machine=Machine(2, 1024))
        return inventory.role_variables(made, cgroup_plugin=None)["slurm_conf_options"].get("SlurmctldTimeout")

    assert (timeout("single"), timeout("ha")) == (None, 10)


def test_releases_without_the_cgroup_option_get_none(cluster: Cluster) -> None:
    variables = inventory.role_variables(cluster, cgroup_plugin=None)
    assert variables["slurm_conf_cgroup_options"] == {}
