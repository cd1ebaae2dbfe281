"""The login of a host brings another cluster along, and everything that is done there is done to the right one."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.clusters import live_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.real.clusters import LiveCluster, Play

NODE = "node1"
ELSEWHERE = """\
SLURM_CONF=/etc/elsewhere/slurm.conf
SLURM_CLUSTERS=elsewhere
SLURM_JWT=sesame
SACCTMGR_ALL=1
SQUEUE_CLUSTERS=elsewhere
"""
CONSENT = {"slurmrest_allow_controller_restart": True, "slurm_jwt_key_rotate_confirm": True}


@pytest.fixture(scope="module")
def live(release: str) -> Iterator[LiveCluster]:
    """A cluster whose only host tells everybody who logs in of another one, and whose root logs in."""
    with live_cluster("real-login", release) as live:
        live.ssh(NODE, f"cat >> /etc/environment <<'END'\n{ELSEWHERE}END")
        yield live


def as_root(live: LiveCluster, command: str) -> str:
    """What a command says to root who has logged in, with the login's environment: sudo would drop that."""
    ssh = ["ssh", "-F", str(live.directory / "ssh_config"), "-l", "root", NODE, command]
    return subprocess.run(ssh, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout


def play(live: LiveCluster, *words: str, **variables: Any) -> Play:
    """Run playbooks as root over SSH."""
    return live.playbook(*words, variables={"ansible_user": "root", "ansible_become": False, **variables})


def test_the_login_leads_astray(live: LiveCluster) -> None:
    """Else the others would show nothing: Slurm's programs do go elsewhere when somebody simply calls them."""
    assert "SLURM_CONF=/etc/elsewhere/slurm.conf" in as_root(live, "env")
    assert "/etc/elsewhere/slurm.conf" in as_root(live, "scontrol ping 2>&1 || true")


def test_a_second_deployment_finds_nothing_to_do(live: LiveCluster) -> None:
    """Accounts are looked up with sacctmgr of this cluster, and a probe asks its slurmctld."""
    assert play(live, "cluster.yml", "deploy.yml").good().changed == 0


def test_it_is_verified(live: LiveCluster) -> None:
    """Tokens are of this cluster's slurmctld, also where a job is to run."""
    assert "/etc/elsewhere" not in play(live, "verify.yml", slurmrest_verify_job_user="alice").good().output


def test_the_doctor_finds_what_is_there(live: LiveCluster) -> None:
    """Whatever it says of the login, none of its own questions went elsewhere."""
    said = play(live, "doctor.yml").output
    for cause in ("[token-not-minted]", "[slurmctld-", "[slurmdbd-", "/etc/elsewhere"):
        assert cause not in said, said
    assert "[slurm-jwt-exported]" in said, said


def test_the_key_is_rotated(live: LiveCluster) -> None:
    """Both scontrol reconfigure and sacctmgr reach this cluster: its slurmctld serves tokens of the new key."""
    before = live.ssh(NODE, "sha256sum /var/lib/slurm/jwt/jwt_hs256.key")
    play(live, "rotate_jwt_key.yml", **CONSENT).good()
    assert live.ssh(NODE, "sha256sum /var/lib/slurm/jwt/jwt_hs256.key") != before
