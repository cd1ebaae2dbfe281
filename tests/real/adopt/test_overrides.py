"""Overrides as the quick start and sites write them: what runs is what was asked, or the run says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real.adopt.overrides import ACCOUNT, COMMAND, OVERRIDE, REFUSED
from tests.real.adopt.sites import inventory
from tests.real.clusters import LiveCluster, live_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUNNING = r"tr '\0' ' ' < /proc/$(systemctl show -p MainPID --value slurmrestd)/cmdline"
STATE = r"""
find /etc/systemd/system /etc/default -type f -exec sha256sum {} + | sort -k2
systemctl show -p MainPID -p ActiveState slurmrestd
"""


@pytest.fixture(scope="module")
def cluster(release: str) -> Iterator[LiveCluster]:
    with live_cluster("overrides", release) as live:
        yield live


@pytest.fixture(scope="module")
def site(cluster: LiveCluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inventory(cluster, tmp_path_factory.mktemp("inventory"))


def put(cluster: LiveCluster, lines: str) -> None:
    """Make the host one that has this override and has never seen the toolkit."""
    cluster.ssh(
        "node1",
        "systemctl stop slurmrestd; rm -rf /etc/systemd/system/slurmrestd.service.d /etc/default/slurmrestd\n"
        f"mkdir -p {OVERRIDE.rpartition('/')[0]}\ncat > {OVERRIDE} <<'END'\n[Service]\n{lines}\nEND\n"
        "systemctl daemon-reload; systemctl reset-failed slurmrestd; systemctl start slurmrestd || true",
    )


@pytest.mark.parametrize("name", REFUSED)
def test_an_override_that_decides_stops_the_run_before_anything_changes(
    cluster: LiveCluster, site: Path, name: str
) -> None:
    lines, setting, line = REFUSED[name]
    put(cluster, lines)
    cluster.ssh("node1", "systemctl stop slurmrestd || true")  # one that systemd refuses is not loaded
    before = cluster.ssh("node1", STATE)
    play = cluster.playbook("deploy.yml", inventory=site)
    said = play.words
    assert play.status != 0, said
    assert f"line {line} of {OVERRIDE} decides {setting} over our drop-in" in said, said
    assert "Remove that line" in said
    assert cluster.ssh("node1", STATE) == before


# What systemd passes over (a section in lower case) decides nothing.
@pytest.mark.parametrize("lines", [ACCOUNT, f"{ACCOUNT}\n[unit]\nUser=root"])
def test_an_override_that_says_the_same_account_stays(cluster: LiveCluster, site: Path, lines: str) -> None:
    put(cluster, lines)
    assert "all good" in cluster.playbook("deploy.yml", inventory=site).good().output
    assert "-a rest_auth/jwt" in cluster.ssh("node1", RUNNING)
    assert "User=slurmrestd" in cluster.ssh("node1", f"cat {OVERRIDE}")
    assert cluster.playbook("deploy.yml", inventory=site).good().changed == 0


def test_an_environment_file_that_looks_like_a_unit_is_refused(cluster: LiveCluster, site: Path) -> None:
    put(cluster, ACCOUNT)
    cluster.ssh("node1", "printf '[Service]\\nSLURMRESTD_OPTIONS=-v\\n' > /etc/default/slurmrestd")
    before = cluster.ssh("node1", STATE)
    play = cluster.playbook("deploy.yml", inventory=site)
    assert play.status != 0
    assert "it has a [Section] like a unit file" in play.words, play.output
    assert cluster.ssh("node1", STATE) == before
    cluster.ssh("node1", "rm /etc/default/slurmrestd")
    cluster.playbook("deploy.yml", inventory=site).good()


def test_one_that_comes_later_is_named_by_verification_and_doctor(cluster: LiveCluster, site: Path) -> None:
    lines = f"[Service]\n{COMMAND}"
    cluster.ssh(
        "node1", f"cat > {OVERRIDE} <<'END'\n{lines}\nEND\nsystemctl daemon-reload; systemctl restart slurmrestd"
    )
    assert "-a" not in cluster.ssh("node1", RUNNING).split()
    play = cluster.playbook("verify.yml", inventory=site)
    said = play.words
    assert play.status != 0
    assert f"-a is not given, not rest_auth/jwt ({OVERRIDE}:3)" in said, said
    told = cluster.playbook("doctor.yml", inventory=site).words
    assert "foreign-dropin" in told, told
    assert f"{OVERRIDE}:3" in told


def test_a_variable_that_the_manager_gives_to_everybody_is_found_in_the_process(
    cluster: LiveCluster, site: Path
) -> None:
    cluster.ssh(
        "node1", f"rm {OVERRIDE}; cp /etc/slurm/slurm.conf /etc/slurm/other.conf; chmod 644 /etc/slurm/other.conf"
    )
    cluster.ssh("node1", "systemctl set-environment SLURM_CONF=/etc/slurm/other.conf; systemctl daemon-reload")
    cluster.ssh("node1", "systemctl restart slurmrestd")
    try:
        told = cluster.playbook("doctor.yml", inventory=site).words
        assert "SLURM_CONF is /etc/slurm/other.conf, not left out" in told, told
        play = cluster.playbook("deploy.yml", inventory=site)
        assert play.status != 0
        assert "SLURM_CONF is /etc/slurm/other.conf, not left out" in play.words
    finally:
        cluster.ssh("node1", "systemctl unset-environment SLURM_CONF")
    assert "all good" in cluster.playbook("deploy.yml", inventory=site).good().output
