"""Several REST hosts for one cluster, several clusters on one REST host."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from slurmrest_toolkit.clusters.state import load
from tests.real.adopt.sites import inventory
from tests.real.clusters import LiveCluster, live_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TAGS = ("slurm_packages", "slurmrestd_user", "slurm_jwt_key", "slurm_conf", "slurmrestd_service", "verify")
UNIT = r"""
systemctl show -p MainPID -p ActiveState slurmrestd 'slurmrestd@*' | grep . ; exit 0
"""
FILES = r"""
find /etc/systemd/system /etc/default /etc/tmpfiles.d /etc/slurm -type f -exec sha256sum {} + | sort -k2
"""
KEY = "sha256sum < /var/lib/slurm/jwt/jwt_hs256.key"
SLURM_CONF_OPTIONS = {"ReturnToService": 1}


@pytest.fixture(scope="module")
def cluster(release: str) -> Iterator[LiveCluster]:
    with live_cluster("adopt-many", release, "--layout", "split", "--nodes", "2") as live:
        yield live


def pid(cluster: LiveCluster, node: str, unit: str = "slurmrestd") -> str:
    """Return the process id of a running unit."""
    return cluster.ssh(node, f"systemctl show -p MainPID --value {unit}").strip()


@pytest.mark.parametrize("tag", TAGS)
def test_each_tag_is_safe_alone(cluster: LiveCluster, tag: str) -> None:
    before = {node: cluster.ssh(node, FILES + UNIT) for node in ("ctl", "db", "rest", "c1")}
    play = cluster.playbook("deploy.yml", "--tags", tag).good()
    assert play.changed == 0, play.output
    assert {node: cluster.ssh(node, FILES + UNIT) for node in before} == before
    assert re.search(r"^TASK \[", play.output, re.MULTILINE)


def test_a_tag_changes_what_is_its_own_and_nothing_else(cluster: LiveCluster) -> None:
    variables = {"slurmrestd_service_threads": 9, "slurm_conf_options": {"SlurmctldDebug": "verbose"}}
    play = cluster.playbook("deploy.yml", "--tags", "slurmrestd_service", variables=variables).good()
    assert play.changed == 1, play.output
    assert "SlurmctldDebug" not in cluster.ssh("ctl", "cat /etc/slurm/slurm.conf")
    cluster.playbook("deploy.yml", "--tags", "slurmrestd_service").good()


def test_limit_leaves_the_other_hosts_alone(cluster: LiveCluster) -> None:
    before = {node: cluster.ssh(node, FILES + UNIT) for node in ("ctl", "db", "c1")}
    variables = {"slurmrestd_service_threads": 9, "slurmrest_verify_job_user": "alice"}
    play = cluster.playbook("deploy.yml", "--limit", "rest", variables=variables).good()
    assert play.changed == 1, play.output
    assert "all good" in play.words
    assert {node: cluster.ssh(node, FILES + UNIT) for node in before} == before
    assert cluster.playbook("deploy.yml", "--limit", "ctl,db").good().changed == 0
    cluster.playbook("deploy.yml").good()


def test_one_rest_host_after_the_other_and_none_after_one_that_does_not_work(
    cluster: LiveCluster, tmp_path: Path
) -> None:
    variables = {name: value for name, value in cluster.inventory()["all"]["vars"].items() if name.startswith("slurm")}
    hosts = inventory(cluster, tmp_path, {"slurmrestd": ["rest", "c1", "c2"]}, **variables)
    rolling: dict[str, Any] = {"slurmrest_serial": 1}
    play = cluster.playbook("deploy.yml", inventory=hosts, variables=rolling).good()
    batches = re.findall(r"^PLAY \[Serve REST\]", play.output, re.MULTILINE)
    assert len(batches) == 3, play.output
    assert play.output.count("all good") == 6, "each before the next one's turn, and all of them at the end"
    assert cluster.playbook("deploy.yml", inventory=hosts, variables=rolling).good().changed == 0

    # slurmrestd of c1 starts and listens, and cannot find slurmctld.
    before = {node: pid(cluster, node) for node in ("rest", "c1", "c2")}
    cluster.ssh("c1", "cp /etc/hosts /root/hosts; echo 127.0.0.9 ctl >> /etc/hosts")
    play = cluster.playbook(
        "deploy.yml",
        inventory=hosts,
        variables={**rolling, "slurmrestd_service_threads": 7, "slurm_packages_source": "none"},
    )
    assert play.status != 0
    assert "slurmrestd does not do what it should" in play.words
    changed = {node for node in before if pid(cluster, node) != before[node]}
    assert changed == {"rest", "c1"}, play.output
    cluster.ssh("c1", "cat /root/hosts > /etc/hosts")
    cluster.playbook("deploy.yml", inventory=hosts, variables={**rolling, "slurmrestd_service_threads": 7}).good()
    cluster.playbook("deploy.yml", inventory=hosts).good()
    for node in ("c1", "c2"):
        cluster.ssh(node, "systemctl disable -q --now slurmrestd; rm -rf /etc/systemd/system/slurmrestd.service.d")


def second(cluster: LiveCluster, directory: Path, **variables: Any) -> Path:
    """Return the inventory of a second cluster: c2 is all of it, slurmdbd and the REST host are those of the first."""
    directory.mkdir(exist_ok=True)
    known = {name: value for name, value in cluster.inventory()["all"]["vars"].items() if name.startswith("slurm")}
    del known["slurmrestd_service_listen"]
    machine = next(node for node in known["slurm_conf_nodes"] if node["name"] == "c2")
    known.update(slurm_conf_cluster_name="beta", slurm_conf_nodes=[machine], slurm_common_slurmrestd_instance="beta")
    groups = {"slurmctld": ["c2"], "slurmdbd": ["db"], "slurmrestd": ["rest"], "slurmd": ["c2"]}
    return inventory(cluster, directory, groups, **known, **variables)


def test_a_second_cluster_on_the_rest_host_touches_nothing_of_the_first(cluster: LiveCluster, tmp_path: Path) -> None:
    beta = second(cluster, tmp_path / "beta")
    cluster.ssh(
        "c2", "systemctl stop slurmd; rm -rf /var/lib/slurm/slurmd/* /var/spool/slurmd/*; rm /etc/slurm/slurm.conf"
    )
    first = {node: cluster.ssh(node, FILES + UNIT) for node in ("ctl", "c1")}
    key, serving = cluster.ssh("ctl", KEY), pid(cluster, "rest")
    mine = cluster.ssh("rest", FILES)

    play = cluster.playbook("cluster.yml", "deploy.yml", inventory=beta).good()
    assert "all good" in play.words
    assert cluster.ssh("c2", KEY) == key, "clusters that share a slurmdbd share its key"
    assert cluster.ssh("db", KEY) == key
    assert {node: cluster.ssh(node, FILES + UNIT) for node in first} == first
    assert pid(cluster, "rest") == serving
    assert set(mine.splitlines()) < set(cluster.ssh("rest", FILES).splitlines())
    asked = "curl -s --unix-socket /run/slurmrestd-beta/slurmrestd.socket"
    token = cluster.ssh("c2", "scontrol token lifespan=600").strip().partition("=")[2]
    newest = re.findall(r"v0\.0\.\d+", play.output)[-1]
    answer = cluster.ssh(
        "rest", f"{asked} -H 'X-SLURM-USER-NAME: root' -H 'X-SLURM-USER-TOKEN: {token}' http://x/slurm/{newest}/nodes"
    )
    assert '"c2"' in answer
    assert '"c1"' not in answer, "it is the second cluster that answers"

    assert cluster.playbook("cluster.yml", "deploy.yml", inventory=beta).good().changed == 0
    assert cluster.playbook("deploy.yml").good().changed == 0
    cluster.playbook("verify.yml").good()


def test_an_instance_is_changed_alone(cluster: LiveCluster, tmp_path: Path) -> None:
    beta = second(cluster, tmp_path / "beta", slurmrestd_service_threads=6)
    serving, instance = pid(cluster, "rest"), pid(cluster, "rest", "slurmrestd@beta")
    play = cluster.playbook("deploy.yml", inventory=beta).good()
    assert play.changed == 1
    assert pid(cluster, "rest") == serving
    assert pid(cluster, "rest", "slurmrestd@beta") not in ("0", instance)


def test_clusters_of_one_slurmdbd_get_a_new_key_together_or_not_at_all(cluster: LiveCluster, tmp_path: Path) -> None:
    def keys() -> set[str]:
        return {cluster.ssh(node, KEY) for node in ("ctl", "db", "c2")}

    def accepted(token: str) -> list[bool]:
        headers = f"-H 'X-SLURM-USER-NAME: root' -H 'X-SLURM-USER-TOKEN: {token}'"
        answers = [
            json.loads(cluster.ssh("rest", f"curl -s --unix-socket {socket} {headers} http://x/{path}/{newest}/diag"))
            for socket in ("/run/slurmrestd/slurmrestd.socket", "/run/slurmrestd-beta/slurmrestd.socket")
            for path in ("slurm", "slurmdb")
        ]
        return [bool(answer.get("statistics")) and not answer.get("errors") for answer in answers]

    state = load(cluster.name)
    assert state is not None
    newest = state.api_versions[-1]
    token = "scontrol token lifespan=600 | cut -d= -f2"
    old, before = cluster.ssh("ctl", token).strip(), keys()
    assert len(before) == 1
    assert accepted(old) == [True] * 4

    confirmed: dict[str, Any] = {"slurm_jwt_key_rotate_confirm": True}
    for hosts, other in ((None, "beta"), (second(cluster, tmp_path / "beta"), "slurmrest")):
        alone = cluster.playbook("rotate_jwt_key.yml", inventory=hosts, variables=confirmed)
        assert alone.status != 0
        assert f"slurmdbd also serves {other}" in alone.words
        named = {**confirmed, "slurm_jwt_key_rotate_clusters": [other]}
        left_out = cluster.playbook("rotate_jwt_key.yml", inventory=hosts, variables=named)
        assert left_out.status != 0
        assert re.search(rf"{other} \(slurmctld on \S+\) would be left with the old key", left_out.output)
    assert keys() == before

    known = {name: value for name, value in cluster.inventory()["all"]["vars"].items() if name.startswith("slurm")}
    both = inventory(cluster, tmp_path, {"slurmctld": ["ctl", "c2"]}, **known, slurm_jwt_key_rotate_clusters=["beta"])
    cluster.playbook("rotate_jwt_key.yml", inventory=both, variables=confirmed).good()
    assert len(keys()) == 1
    assert keys() != before
    assert accepted(cluster.ssh("ctl", token).strip()) == [True] * 4
    assert accepted(cluster.ssh("c2", token).strip()) == [True] * 4
    assert not any(accepted(old))
