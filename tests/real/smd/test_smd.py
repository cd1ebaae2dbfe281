"""A site from packages like SchedMD's: no run removes or downgrades anything, and check mode tells the plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.real.adopt.sites import inventory
from tests.real.clusters import LiveCluster, live_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

NODE = "node1"
PARTS = ("slurmctld", "slurmd", "slurmdbd", "slurmrestd", "slurm-client")
PLUGINS = ("slurm-wlm-basic-plugins", "slurm-wlm-jwt-plugin", "slurm-wlm-mysql-plugin")
REPACK = Path(__file__).with_name("repack.sh").read_text()
BECOME = """set -e
export DEBIAN_FRONTEND=noninteractive
mkdir -p /root/debs && cd /root/debs
apt-get -qq update
apt-get -qq download {names}
cat > /root/repack.sh <<'SCRIPT'
{repack}
SCRIPT
sh /root/repack.sh /root/debs /root/smd
sh /root/repack.sh /root/debs /root/next {later}
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get -qq -y --no-install-recommends install /root/smd/*.deb > /dev/null
rm /usr/sbin/policy-rc.d
systemctl daemon-reload
systemctl restart slurmdbd
systemctl restart slurmctld slurmd
"""
"""Of a cluster from Debian's packages, one from packages as Slurm's own source makes them."""


def packages(cluster: LiveCluster) -> str:
    """Return what is installed of Slurm."""
    return cluster.ssh(NODE, "dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\\n' '*slurm*' | grep ^ii")


def words(output: str) -> str:
    """Return an output without the breaks of its lines."""
    return " ".join(output.split())


@pytest.fixture(scope="module")
def site(release: str) -> Iterator[LiveCluster]:
    """Return a running site that has its Slurm from such packages."""
    with live_cluster("smd", release) as cluster:
        names = " ".join([*PARTS, *PLUGINS])
        cluster.ssh(NODE, BECOME.format(names=names, repack=REPACK, later=f"{release}.99-1"))
        yield cluster


def test_defaults_leave_the_packages_of_the_site(site: LiveCluster, tmp_path: Path) -> None:
    site.ssh(NODE, "apt-get -qq -y remove slurm-smd-slurmrestd; test ! -e /usr/sbin/slurmrestd")
    before = packages(site)
    hosts = inventory(site, tmp_path)
    for flags in (("--check",), ()):
        play = site.playbook("deploy.yml", *flags, inventory=hosts)
        assert play.status != 0
        assert "which the distribution's packages would replace" in words(play.output), play.output
        assert "slurm-smd-slurmrestd" in play.output
        assert play.changed == 0, play.output
        assert packages(site) == before


def test_the_distribution_is_refused_with_the_whole_plan(site: LiveCluster, tmp_path: Path) -> None:
    before = packages(site)
    hosts = inventory(site, tmp_path, slurm_packages_source="distribution")
    for flags in (("--check",), ()):
        play = site.playbook("deploy.yml", *flags, inventory=hosts)
        assert play.status != 0
        said = words(play.output)
        assert "The whole plan: remove: slurm-smd " in said, play.output
        for part in ("client", "slurmctld", "slurmd", "slurmdbd"):
            assert f"slurm-smd-{part} " in said
        assert packages(site) == before
    assert site.ssh(NODE, "systemctl is-active slurmctld slurmdbd slurmd").split() == ["active"] * 3


def test_package_files_one_transaction(site: LiveCluster, tmp_path: Path) -> None:
    files = []
    for path in site.ssh(NODE, "ls /root/smd/*.deb /root/next/*.deb").split():
        local = tmp_path / path.split("/")[2] / Path(path).name
        local.parent.mkdir(exist_ok=True)
        local.write_bytes(site.fetch(NODE, f"cat {path}"))
        files.append(local)
    now = [str(path) for path in files if path.parent.name == "smd"]
    later = [str(path) for path in files if path.parent.name == "next"]
    before = packages(site)
    hosts = inventory(site, tmp_path, slurm_packages_source="files", slurm_packages_files=now)
    play = site.playbook("deploy.yml", "--check", inventory=hosts)
    assert "install: slurm-smd-slurmrestd " in words(play.output), play.output
    assert packages(site) == before
    consent = {"slurmrest_allow_controller_restart": True}
    site.playbook("deploy.yml", inventory=hosts, variables=consent).good()
    assert "slurm-smd-slurmrestd" in packages(site)
    assert site.playbook("deploy.yml", inventory=hosts, variables=consent).good().changed == 0
    assert site.ssh(NODE, "ls -d /var/cache/slurmrest", check=False) == ""

    before = packages(site)
    newer = {**consent, "slurm_packages_files": later}
    play = site.playbook("deploy.yml", "--check", inventory=hosts, variables=newer).good()
    assert "upgrade: slurm-smd " in words(play.output), play.output
    assert packages(site) == before
    site.playbook("deploy.yml", inventory=hosts, variables=newer).good()
    upgraded = packages(site)
    assert len(upgraded.splitlines()) == len(before.splitlines())
    assert all(".99-1" in line for line in upgraded.splitlines()), upgraded

    back = {**consent, "slurm_packages_files": now}
    play = site.playbook("deploy.yml", inventory=hosts, variables=back)
    assert play.status != 0
    assert "would downgrade slurm-smd " in words(play.output), play.output
    assert packages(site) == upgraded
