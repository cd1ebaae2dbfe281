"""A REST host without a slurm.conf of its own: it reads what sackd fetched, and not the key that sackd needs."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from slurmrest.slurm.releases import lookup

from tests.real.clusters import LiveCluster, live_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

from tests.real.adopt.sites import inventory

CONFIGLESS = {"slurm_conf_options": {"SlurmctldParameters": "enable_configless"}}
SACKD = r"""
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install -y --no-install-recommends sackd munge > /dev/null
install -o munge -g munge -m 0400 /root/munge.key /etc/munge/munge.key
rm -f /root/munge.key /etc/slurm/slurm.conf
systemctl restart munge
printf 'SACKD_OPTIONS=--conf-server ctl\n' > /etc/default/sackd
systemctl enable -q sackd
systemctl restart sackd
for n in $(seq 50); do [ -e /run/slurm/conf/slurm.conf ] && exit; sleep 0.2; done
systemctl status sackd >&2; exit 1
"""


@pytest.fixture(scope="module")
def cluster(release: str) -> Iterator[LiveCluster]:
    if not lookup(release).release.auth_slurm:
        pytest.skip("sackd came later")
    with live_cluster("adopt-sackd", release, "--layout", "split", "--nodes", "1") as live:
        yield live


@pytest.fixture(scope="module")
def site(cluster: LiveCluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the inventory of a site that owns its files; the REST host has none but those that sackd fetches."""
    variables = cluster.inventory()["all"]["vars"]
    options = {**variables["slurm_conf_options"], **CONFIGLESS["slurm_conf_options"]}
    cluster.playbook("cluster.yml", variables={"slurm_conf_options": options}).good()
    key = cluster.fetch("ctl", "cat /etc/munge/munge.key")
    cluster.ssh(
        "rest",
        f"umask 077; echo {key.hex()} | python3 -c 'import sys; "
        'open("/root/munge.key", "wb").write(bytes.fromhex(sys.stdin.read().strip()))\'',
    )
    cluster.ssh("ctl", "sed -i '/^#/d' /etc/slurm/slurm.conf; scontrol reconfigure")
    cluster.ssh("rest", "systemctl stop slurmrestd; rm -rf /etc/systemd/system/slurmrestd.service.d")
    cluster.ssh("rest", SACKD)
    return inventory(cluster, tmp_path_factory.mktemp("inventory"), slurmrest_verify_job_user="alice")


def test_it_reads_what_sackd_fetched(cluster: LiveCluster, site: Path) -> None:
    play = cluster.playbook("deploy.yml", inventory=site).good()
    assert "all good" in play.words
    assert "slurm.conf" not in cluster.ssh("rest", "ls /etc/slurm").split()
    command = cluster.ssh("rest", "tr '\\0' ' ' < /proc/$(systemctl show -p MainPID --value slurmrestd)/cmdline")
    assert "-f /run/slurm/conf/slurm.conf" in command
    assert cluster.playbook("deploy.yml", inventory=site).good().changed == 0


def test_no_key_is_there_for_it(cluster: LiveCluster, site: Path) -> None:
    # That systemd hides what the unit names is proven by tests/real/sandbox: a plain container cannot do it.
    assert site.exists()
    hidden = cluster.ssh("rest", "systemctl show -p InaccessiblePaths --value slurmrestd").split()
    assert {"-/etc/munge", "-/run/slurm/conf/slurm.key", "-/etc/slurm/slurm.key"} <= set(hidden)
    account = "runuser -u slurmrestd --"
    assert cluster.ssh("rest", f"{account} cat /etc/munge/munge.key || echo refused", check=False).strip() == "refused"
    assert cluster.ssh("rest", f"{account} head -c 1 /run/slurm/conf/slurm.conf | wc -c").strip() == "1"


def test_munge_is_not_needed(cluster: LiveCluster, site: Path) -> None:
    cluster.ssh("rest", "systemctl stop munge.service; systemctl restart slurmrestd")
    assert "all good" in cluster.playbook("verify.yml", inventory=site).good().output
    cluster.ssh("rest", "systemctl start munge.service")


def test_it_is_back_after_a_reboot(cluster: LiveCluster, site: Path) -> None:
    nodes = json.loads((cluster.directory / "cluster.json").read_text())["nodes"]
    cluster.reboot(next(node["container"] for node in nodes if node["name"] == "rest"))
    deadline = time.monotonic() + 90
    while cluster.ssh("rest", "systemctl is-active slurmrestd sackd", check=False).split() != ["active", "active"]:
        assert time.monotonic() < deadline, cluster.ssh("rest", "journalctl -b -u slurmrestd -u sackd", check=False)
        time.sleep(0.5)
    assert "all good" in cluster.playbook("verify.yml", inventory=site).good().output
