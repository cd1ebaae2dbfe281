"""What a backup lacks, and a state that is not shared."""

from __future__ import annotations

from slurmrest_toolkit.clusters.state import STATE_SAVE_LOCATION
from tests.real.ha.pair import KEY, SUM, Pair, causes


def test_what_a_backup_lacks_is_said_and_mended(cluster: Pair) -> None:
    before = cluster.live.ssh("ctl2", f"{SUM} /etc/slurm/slurm.conf")
    cluster.live.ssh("ctl2", f"rm {KEY}; sed -i '/^AuthAlt/d' /etc/slurm/slurm.conf")
    said = causes(cluster.live.playbook("doctor.yml").output)
    assert {host for _cause, host in said} == {"ctl2"}, said
    announced = cluster.live.playbook("deploy.yml", "--check", "--diff")
    assert "+AuthAltTypes=auth/jwt" in announced.output, announced.output
    deployed = cluster.live.playbook("deploy.yml").good()
    assert deployed.changed > 0
    assert cluster.live.ssh("ctl2", f"{SUM} /etc/slurm/slurm.conf") == before
    cluster.wait("ctl1")
    again = cluster.live.playbook("deploy.yml", "doctor.yml").good()
    assert again.changed == 0, again.output


def test_state_that_is_not_shared_is_named_and_nothing_is_changed(cluster: Pair) -> None:
    cluster.live.ssh("ctl2", "systemctl stop slurmctld")
    cluster.live.privileged("ctl2", f"mount -t tmpfs tmpfs {STATE_SAVE_LOCATION} && chown slurm: {STATE_SAVE_LOCATION}")
    try:
        cluster.live.ssh("ctl2", "systemctl start slurmctld")
        assert ("state-not-shared", "ctl2") in causes(cluster.live.playbook("doctor.yml").output)
        before = cluster.processes()
        deployed = cluster.live.playbook("deploy.yml", variables={"slurm_conf_options": cluster.options(13)})
        assert deployed.status != 0
        assert "state-not-shared" in deployed.output
        assert cluster.processes() == before
    finally:
        cluster.live.ssh("ctl2", "systemctl stop slurmctld")
        cluster.live.privileged("ctl2", f"umount {STATE_SAVE_LOCATION}")
        cluster.live.ssh("ctl2", "systemctl start slurmctld")
    cluster.wait("ctl1")
    cluster.live.playbook("deploy.yml", "doctor.yml").good()
