"""One serving cluster, taken through the ways in which sites differ; REST answers after each of them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.clusters import LiveCluster, live_cluster, slurmrest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NO_ACCOUNTING = {"slurm_common_dbd_host": "", "slurm_common_components": ["slurmctld", "slurmd", "slurmrestd"]}
UNIT = "/usr/lib/systemd/system/slurmrestd.service"


@pytest.fixture(scope="module")
def cluster(release: str) -> Iterator[LiveCluster]:
    with live_cluster("real-variants", release) as live:
        yield live


def serves(cluster: LiveCluster) -> None:
    """Verify from inside the node, over both listeners, with a job."""
    play = cluster.playbook("verify.yml", variables={"slurmrest_verify_job_user": "alice"}).good()
    assert "all good" in play.words
    assert "of alice: COMPLETED" in play.words


def asked(cluster: LiveCluster) -> int:
    """Ask for diag from this host with a fresh token and return the HTTP status."""
    done = slurmrest("cluster", "curl", "--name", cluster.name, "diag")
    if done.returncode != 0:
        return 0
    return 200 if json.loads(done.stdout).get("statistics") else 500


def test_rest_is_back_by_itself_after_a_reboot(cluster: LiveCluster) -> None:
    node = json.loads((cluster.directory / "cluster.json").read_text())["nodes"][0]
    before = cluster.ssh("node1", "cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1").split()
    cluster.reboot(node["container"])
    deadline = time.monotonic() + 60
    while asked(cluster) != 200:
        assert time.monotonic() < deadline, cluster.ssh("node1", "journalctl -b -u slurmrestd --no-pager", check=False)
        time.sleep(0.2)
    assert cluster.ssh("node1", "cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1").split()[1] != before[1]
    serves(cluster)


def test_root_over_ssh_finds_nothing_to_change(cluster: LiveCluster) -> None:
    play = cluster.playbook("deploy.yml", variables={"ansible_user": "root", "ansible_become": False}).good()
    assert play.changed == 0, play.output


def test_pipelining_is_no_condition(cluster: LiveCluster) -> None:
    play = cluster.playbook("deploy.yml", variables={"ansible_pipelining": False}).good()
    assert play.changed == 0, play.output


def test_the_python_of_a_host_may_be_found_by_ansible(cluster: LiveCluster) -> None:
    """As with the inventory that is shipped; those of test clusters name it."""
    found = {"ansible_python_interpreter": "auto_silent"}
    play = cluster.playbook("deploy.yml", "verify.yml", "doctor.yml", variables=found).good()
    assert play.changed == 0, play.output


def test_names_with_capitals_are_there_in_the_second_run(cluster: LiveCluster) -> None:
    """Slurm's database folds the names of clusters, accounts and users; the files and the host keep them."""
    users = [*cluster.inventory()["all"]["vars"]["slurm_cluster_users"], {"name": "Carla", "uid": 2090}]
    names: dict[str, Any] = {"slurm_conf_cluster_name": "SlurmRest", "slurm_cluster_account": "Physics"}
    for there in (users, [*users, {"name": "Dora", "uid": 2091}]):
        assert cluster.playbook("cluster.yml", variables={**names, "slurm_cluster_users": there}).good().changed > 0
        again = cluster.playbook("cluster.yml", variables={**names, "slurm_cluster_users": there}).good()
        assert again.changed == 0, again.output
    shown = cluster.ssh("node1", "sacctmgr -nP show assoc format=user,account,cluster").split()
    assert {"carla|physics|slurmrest", "dora|physics|slurmrest"} <= set(shown)
    cluster.playbook("doctor.yml", variables=names).good()
    cluster.playbook("cluster.yml").good()  # the name that the tests below know


def test_without_accounting(cluster: LiveCluster) -> None:
    cluster.playbook("cluster.yml", "deploy.yml", variables=NO_ACCOUNTING).good()
    assert "accounting_storage/slurmdbd" not in cluster.ssh("node1", "cat /etc/slurm/slurm.conf")
    play = cluster.playbook("deploy.yml", variables=NO_ACCOUNTING).good()
    assert play.changed == 0, play.output
    assert "slurmdb-diag" in play.output
    assert "skipped  slurmdb-diag" in play.output
    cluster.playbook("cluster.yml", "deploy.yml").good()
    serves(cluster)


def test_a_portal_gets_in_by_its_group(cluster: LiveCluster) -> None:
    cluster.ssh("node1", "getent group portal || groupadd --system portal; id web || useradd -m -g portal web")
    cluster.playbook("deploy.yml", variables={"slurmrestd_service_socket_group": "portal"}).good()
    curl = "curl -s -o /dev/null -w '%{http_code}' --unix-socket /run/slurmrestd/slurmrestd.socket http://x/openapi/v3"
    cluster.ssh("node1", "command -v curl || apt-get -qq install -y curl")
    assert cluster.ssh("node1", f"runuser -u web -- {curl}") == "401"
    assert cluster.ssh("node1", f"runuser -u alice -- {curl}", check=False) == "000", "others stay outside"
    cluster.playbook("deploy.yml").good()
    assert cluster.ssh("node1", f"runuser -u web -- {curl}", check=False) == "000"


def test_auth_slurm_instead_of_munge(cluster: LiveCluster) -> None:
    variables = {"slurm_common_auth_type": "auth/slurm"}
    play = cluster.playbook("cluster.yml", "deploy.yml", variables=variables)
    if not json.loads(cluster.ssh("node1", "test -e /usr/lib/*/slurm-wlm/auth_slurm.so && echo true || echo false")):
        assert play.status != 0
        assert "Allowed: auth/munge" in play.words
        return
    play.good()
    cluster.ssh("node1", "systemctl stop munge.service; systemctl restart slurmdbd slurmctld slurmd")
    cluster.playbook("verify.yml", variables={"slurmrest_verify_job_user": "alice"}).good()
    cluster.ssh("node1", "systemctl start munge.service")
    cluster.playbook("cluster.yml", "deploy.yml").good()
    serves(cluster)


def test_package_files(cluster: LiveCluster, tmp_path: Path) -> None:
    names = ["slurm-wlm-basic-plugins", "slurm-wlm-jwt-plugin", "slurmrestd"]
    cluster.ssh(
        "node1",
        f"apt-get -qq update; apt-get -qq remove -y slurmrestd; cd /tmp; apt-get -qq download {' '.join(names)}; "
        "chmod 644 /tmp/*.deb; ls /tmp/*.deb",
    )
    for name in names:
        (tmp_path / f"{name}.deb").write_bytes(cluster.fetch("node1", f"cat /tmp/{name}_*.deb"))
    variables = {
        "slurm_packages_source": "files",
        "slurm_packages_files": [str(tmp_path / f"{name}.deb") for name in names],
    }
    cluster.playbook("deploy.yml", "--check", variables=variables).good()
    cluster.playbook("deploy.yml", variables=variables).good()
    play = cluster.playbook("deploy.yml", variables=variables).good()
    assert play.changed == 0, play.output
    serves(cluster)


def test_a_build_from_source_without_a_unit(cluster: LiveCluster) -> None:
    cluster.ssh(
        "node1",
        f"""set -e
        systemctl stop slurmrestd
        mkdir -p /opt/slurm/sbin /opt/slurm/lib
        ln -s /usr/lib/*/slurm-wlm /opt/slurm/lib/slurm
        cp /usr/sbin/slurmrestd /opt/slurm/sbin/
        dpkg-divert --quiet --local --rename --add /usr/sbin/slurmrestd
        unit=$(readlink -f {UNIT} || true)
        dpkg-divert --quiet --local --rename --divert /root/vendor.service --add "$(dpkg -L slurmrestd | grep service$)"
        rm -rf /etc/systemd/system/slurmrestd.service.d /etc/default/slurmrestd
        systemctl daemon-reload
        """,
    )
    variables = {"slurm_packages_source": "none"}
    cluster.playbook("deploy.yml", variables=variables).good()
    show = cluster.ssh("node1", "systemctl show -p FragmentPath,ExecStart slurmrestd")
    assert "/etc/systemd/system/slurmrestd.service" in show
    assert "/opt/slurm/sbin/slurmrestd" in show
    play = cluster.playbook("deploy.yml", variables=variables).good()
    assert play.changed == 0, play.output


def test_nothing_installed_and_nothing_to_install(cluster: LiveCluster) -> None:
    """Said before anything changes, also where controllers may be restarted and would have to be."""
    cluster.ssh("node1", "mv /opt/slurm/sbin/slurmrestd /root/; sed -i '/^AuthAlt/d' /etc/slurm/slurm.conf")
    started = "systemctl show --property=ActiveEnterTimestampMonotonic slurmctld slurmdbd"
    before = cluster.ssh("node1", started)
    consent = {"slurmrest_allow_controller_restart": True}
    play = cluster.playbook("deploy.yml", variables={"slurm_packages_source": "none", **consent})
    assert play.status != 0
    assert play.changed == 0, play.output
    assert cluster.ssh("node1", started) == before
    for word in ("There is no slurmrestd on this host", "slurm-smd-slurmrestd", "--enable-slurmrestd"):
        assert word in play.words
