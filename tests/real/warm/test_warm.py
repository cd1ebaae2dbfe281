"""Two clusters from the same warm images: both are proven, they share no secret, and the roles find nothing to do."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from slurmrest_toolkit.images.suites import suite_of
from tests.real.clusters import ROOT, LiveCluster, live_cluster, slurmrest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Every file that not everybody may read, unless the distribution made it so and it holds no secret of a cluster.
CONFIDENTIAL = r"""
find / -xdev -type f -size +0 ! -perm -o=r \
    ! -path '/etc/shadow*' ! -path '/etc/gshadow*' ! -path '/etc/sudoers*' ! -path '/etc/.pwd.lock' \
    ! -path '/proc/*' ! -path '/sys/*' ! -path '/run/*' ! -path '/var/cache/*' ! -path '/var/log/*' \
    ! -path '/var/lib/slurm/slurmctld/*' ! -path '/var/lib/mysql/*' ! -path '/var/lib/mariadb/*' ! -path '/usr/*' \
    -exec sha256sum {} +
"""
PUBLIC = {
    "/etc/slurm/slurmdbd.conf",
    "/etc/mysql/debian.cnf",
    "/etc/ssh/sshd_config",
    "/var/lib/slurmrest/origin.json",  # what was there before the roles
}
SECRETS = {"/etc/munge/munge.key", "/var/lib/slurm/jwt/jwt_hs256.key", "/etc/ssh/ssh_host_ed25519_key"}
MACHINE = "sha256sum /etc/machine-id"
KEYS = "stat -c '%n %U %G %a %s' /etc/munge/munge.key /var/lib/slurm/jwt/jwt_hs256.key /var/lib/slurm/jwt"

# Whoever wants a mirror, an index of packages or a registry is sent to a proxy that nobody runs.
NOWHERE = "http://127.0.0.1:9"
CUT_OFF = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), NOWHERE)
ASK_THE_MIRROR = ("mmdebstrap", "--simulate", "--variant=apt", '--aptopt=Acquire::Check-Valid-Until "false"')


def cut_off(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command that cannot reach a mirror, an index of packages or a registry."""
    return subprocess.run(words, env=os.environ | CUT_OFF, capture_output=True, text=True, check=False)


def described(cluster: LiveCluster) -> dict[str, Any]:
    """Return what the command line knows about a cluster."""
    data: dict[str, Any] = json.loads((cluster.directory / "cluster.json").read_text(encoding="utf-8"))
    return data


def hashes(cluster: LiveCluster, node: str, command: str = CONFIDENTIAL) -> dict[str, str]:
    """Map files of a node to the hash of what they hold."""
    lines = (line.split(None, 1) for line in cluster.ssh(node, command).splitlines())
    return {path: value for value, path in lines}


@pytest.fixture(scope="module", name="first")
def a_cluster(release: str) -> Iterator[LiveCluster]:
    with live_cluster("real-warm-a", release) as live:
        yield live


@pytest.fixture(scope="module", name="second")
def another_from_the_same_image(release: str, first: LiveCluster) -> Iterator[LiveCluster]:
    assert described(first)["ready"]
    with live_cluster("real-warm-b", release) as live:
        yield live


def test_the_second_start_runs_no_playbook_and_proves_everything(second: LiveCluster) -> None:
    found = described(second)
    assert set(found["timings"]) == {"host", "nodes", "daemons", "verify", "job"}
    assert [check["id"] for check in found["verify"]["checks"] if check["ok"] is not True] == []
    assert not (second.directory / "logs" / "ansible.log").exists()


@pytest.mark.usefixtures("first")
def test_a_warm_start_needs_no_network(release: str) -> None:
    name = f"real-warm-c-{release.replace('.', '')}"
    simulation = cut_off(*ASK_THE_MIRROR, suite_of(release), "/dev/null")
    assert simulation.returncode != 0, "this test does not cut the network off"
    try:
        up = cut_off(str(ROOT / "scripts" / "slurmrest"), "cluster", "up", "--name", name, "--slurm", release, "--json")
        assert up.returncode == 0, up.stderr
        found = json.loads(up.stdout)
        assert set(found["timings"]) == {"host", "nodes", "daemons", "verify", "job"}
        assert found["verify"]["ok"]
    finally:
        slurmrest("cluster", "down", name)


def test_two_clusters_from_one_image_share_no_secret(first: LiveCluster, second: LiveCluster) -> None:
    one, two = hashes(first, "node1"), hashes(second, "node1")
    assert set(one) >= SECRETS
    assert {path for path in one if one[path] == two.get(path)} <= PUBLIC
    assert not set(one.values()) & {two[path] for path in SECRETS}
    assert hashes(first, "node1", MACHINE) != hashes(second, "node1", MACHINE)
    for file in ("id_ed25519", "known_hosts", "token.root", "token.alice"):
        assert (first.directory / file).read_text() != (second.directory / file).read_text()


def test_the_token_of_one_opens_nothing_at_the_other(first: LiveCluster, second: LiveCluster) -> None:
    borrowed = first.directory / "header.root"
    ours = second.directory / "header.root"
    kept = ours.read_text(encoding="ascii")
    assert slurmrest("cluster", "curl", "--name", second.name, "diag").returncode == 0
    ours.write_text(borrowed.read_text(encoding="ascii"), encoding="ascii")
    try:
        assert slurmrest("cluster", "curl", "--name", second.name, "diag").returncode == 1
    finally:
        ours.write_text(kept, encoding="ascii")


def test_keys_look_as_the_roles_make_them_and_the_roles_change_nothing(second: LiveCluster) -> None:
    assert second.ssh("node1", KEYS).splitlines() == [
        "/etc/munge/munge.key munge munge 400 1024",
        "/var/lib/slurm/jwt/jwt_hs256.key slurm slurm 600 32",
        "/var/lib/slurm/jwt slurm slurm 700 4096",
    ]
    play = second.playbook("cluster.yml", "deploy.yml", "--diff").good()
    assert play.changed == 0, play.output


def test_a_slurmctld_that_is_killed_at_once_comes_back(second: LiveCluster) -> None:
    """From 25.05 on it refuses a state that was never saved whole, which takes it five minutes."""
    second.ssh("node1", "systemctl kill -s KILL slurmctld; while pgrep -x slurmctld >/dev/null; do sleep 0.1; done")
    second.ssh("node1", "systemctl reset-failed slurmctld; systemctl start slurmctld")
    second.ssh("node1", "timeout 30 sh -c 'until scontrol ping | grep -q UP; do sleep 0.1; done'")


def test_a_node_comes_back_after_a_reboot(second: LiveCluster) -> None:
    before = hashes(second, "node1")
    second.reboot(described(second)["nodes"][0]["container"])
    assert slurmrest("cluster", "status", second.name).returncode == 0  # which follows the ports
    assert hashes(second, "node1", "until [ -e /run/munge/munge.socket.2 ]; do sleep 0.1; done;" + CONFIDENTIAL).keys()
    after = hashes(second, "node1")
    assert {path: after[path] for path in SECRETS} == {path: before[path] for path in SECRETS}
    second.playbook("deploy.yml").good()


@pytest.mark.usefixtures("second")
def test_images_travel_in_a_file(release: str, tmp_path: Path) -> None:
    archive = tmp_path / "cache"
    saved = slurmrest("cluster", "cache", "save", "--slurm", release, str(archive))
    assert saved.returncode == 0, saved.stderr
    loaded = slurmrest("cluster", "cache", "load", str(archive))
    assert loaded.returncode == 0, loaded.stderr
    assert "nothing new" in loaded.stderr
    archive.write_bytes(archive.read_bytes()[:1000])
    cut = slurmrest("cluster", "cache", "load", str(archive))
    assert (cut.returncode, "is no whole archive of images" in cut.stderr) == (2, True)


def test_controllers_that_share_their_state_start_from_images_with_packages(release: str) -> None:
    """Their volume is a new one each time: what was installed at its place is not in an image, nor whose it was."""
    for _ in range(2):
        with live_cluster("real-warm-shared", release, "--layout", "ha", "--no-cache") as live:
            timings = described(live)["timings"]
    assert {"cluster", "deploy"} < set(timings)
    assert "packages" not in timings
