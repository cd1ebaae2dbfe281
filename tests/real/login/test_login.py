"""The login of a host brings another cluster along, and everything that is done there is done to the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real.clusters import live_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.real.clusters import LiveCluster

NODE = "node1"
ELSEWHERE = """\
SLURM_CONF=/etc/elsewhere/slurm.conf
SLURM_CLUSTERS=elsewhere
SLURM_JWT=sesame
SACCTMGR_ALL=1
SQUEUE_CLUSTERS=elsewhere
"""
CONSENT = {"slurmrest_allow_controller_restart": True}


@pytest.fixture(scope="module")
def live(release: str) -> Iterator[LiveCluster]:
    """A cluster whose only host tells everybody who logs in of another one, root too."""
    with live_cluster("real-login", release) as live:
        live.ssh(NODE, f"cat >> /etc/environment <<'END'\n{ELSEWHERE}END")
        yield live


def test_the_login_leads_astray(live: LiveCluster) -> None:
    """Else the others would show nothing: Slurm's programs do go elsewhere when somebody simply calls them."""
    assert "SLURM_CONF=/etc/elsewhere/slurm.conf" in live.ssh(NODE, "env")
    assert "/etc/elsewhere/slurm.conf" in live.ssh(NODE, "scontrol ping 2>&1 || true")


def test_a_second_deployment_finds_nothing_to_do(live: LiveCluster) -> None:
    """Accounts are looked up with sacctmgr of this cluster, and a probe asks its slurmctld."""
    assert live.playbook("cluster.yml", "deploy.yml").good().changed == 0


def test_it_is_verified(live: LiveCluster) -> None:
    """Tokens are of this cluster's slurmctld, also where a job is to run."""
    play = live.playbook("verify.yml", variables={"slurmrest_verify_job_user": "alice"}).good()
    assert "/etc/elsewhere" not in play.output


def test_the_doctor_finds_what_is_there(live: LiveCluster) -> None:
    """Whatever it says of the login, none of its own questions went elsewhere."""
    play = live.playbook("doctor.yml")
    assert "/etc/elsewhere/slurm.conf: No such file" not in play.output
    assert "[token-not-minted]" not in play.output
    assert "[slurmctld-" not in play.output


def test_the_key_is_rotated(live: LiveCluster) -> None:
    """Both scontrol reconfigure and sacctmgr reach this cluster: its slurmctld serves tokens of the new key."""
    before = live.ssh(NODE, "sha256sum /var/lib/slurm/jwt/jwt_hs256.key")
    live.playbook("rotate_jwt_key.yml", variables={**CONSENT, "slurm_jwt_key_rotate_confirm": True}).good()
    assert live.ssh(NODE, "sha256sum /var/lib/slurm/jwt/jwt_hs256.key") != before
