"""What a backup lacks, a state that is not shared, and a backup that does not come back."""

from __future__ import annotations

from slurmrest_toolkit.clusters.state import STATE_SAVE_LOCATION
from tests.real.ha.pair import KEY, SUM, Pair, causes

BROKEN = "/etc/systemd/system/slurmctld.service.d/broken.conf"


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


def test_a_backup_that_does_not_come_back_stops_the_leader(cluster: Pair) -> None:
    cluster.live.ssh(
        "ctl2",
        f"mkdir -p $(dirname {BROKEN}); printf '[Service]\\nExecStartPre=/bin/false\\n' > {BROKEN}; "
        "systemctl daemon-reload",
    )
    before = cluster.processes("ctl1", "rest1", "rest2")
    files = {name: cluster.live.ssh(name, "sha256sum /etc/slurm/*.conf") for name in ("ctl1", "rest1", "rest2")}
    try:
        deployed = cluster.live.playbook("deploy.yml", variables={"slurm_conf_options": cluster.options(14)})
        assert deployed.status != 0
        assert "Nothing more is changed: ctl2 failed" in deployed.words, deployed.output
        assert cluster.processes("ctl1", "rest1", "rest2") == before
        assert {name: cluster.live.ssh(name, "sha256sum /etc/slurm/*.conf") for name in files} == files
        assert cluster.in_charge("ctl1") == "ctl1"
        assert cluster.answers()
    finally:
        cluster.live.ssh("ctl2", f"rm {BROKEN}; systemctl daemon-reload")
        cluster.start("ctl2")
    cluster.wait("ctl1")
    cluster.live.playbook("deploy.yml", "doctor.yml").good()
