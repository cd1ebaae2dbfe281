"""The primary's host cannot be reached, or is wholly gone: what works, what is refused, and a key that cannot wait."""

from __future__ import annotations

import time

from tests.real.clusters import slurmrest
from tests.real.ha.pair import KEY, SOON, SUM, Pair, causes, say, timed
from tests.real.rotation.rotating import CONFIRM

LEFT = ("ctl2", "db", "rest1", "rest2")
EMERGENCY = {**CONFIRM, "slurm_jwt_key_rotate_without": ["ctl1"]}


def test_a_host_that_cannot_be_reached(cluster: Pair) -> None:
    cluster.kill("ctl1")
    cluster.inside("ctl1", "systemctl stop ssh.socket ssh.service; pkill -x sshd-session; pkill -x sshd; true")
    try:
        cluster.wait("ctl2", silent="ctl1")
        before = cluster.processes(*LEFT)
        verified = cluster.live.playbook("verify.yml").good()
        assert "WARNING  ctl2 is in charge" in verified.output
        assert causes(cluster.live.playbook("doctor.yml").output) == [("host-unreachable", "ctl1")]
        token = slurmrest("cluster", "token", "--name", cluster.live.name)
        assert token.returncode == 0, token.stderr
        deployed = cluster.live.playbook("deploy.yml")
        assert deployed.status != 0
        assert "nothing is changed on any of them. ctl2 is in charge" in deployed.words
        assert "has no attribute" not in deployed.words
        rotated = cluster.live.playbook("rotate_jwt_key.yml", variables=CONFIRM)
        assert rotated.status != 0
        assert "Nothing was changed: ctl1 cannot be reached" in rotated.words
        assert cluster.processes(*LEFT) == before
    finally:
        cluster.inside("ctl1", "systemctl start ssh; systemctl reset-failed slurmctld; systemctl start slurmctld")
    cluster.wait("ctl1")
    cluster.live.playbook("deploy.yml", "doctor.yml").good()


def test_a_host_that_is_gone(cluster: Pair) -> None:
    cluster.wait("ctl1")
    cluster.know_names()
    usual = {name: timed(cluster, name)[0] for name in ("verify.yml", "doctor.yml")}
    cluster.power_off("ctl1")
    cluster.wait("ctl2", silent="ctl1")
    before = cluster.processes(*LEFT)
    said = {name: timed(cluster, name) for name in usual}
    for name, (seconds, play) in said.items():
        say(f"{name} with the primary's host gone: {seconds:.1f} s, otherwise {usual[name]:.1f} s")
        assert seconds < usual[name] + SOON, play.output
        assert "has no attribute" not in play.words
    assert "WARNING  ctl2 is in charge" in said["verify.yml"][1].good().output
    diagnosed = said["doctor.yml"][1].output
    assert causes(diagnosed) == [("host-unreachable", "ctl1")], diagnosed
    begin = time.monotonic()
    token = slurmrest("cluster", "token", "--name", cluster.live.name, "--user", "alice")
    assert token.returncode == 0, token.stderr
    assert time.monotonic() - begin < SOON
    deployed = cluster.live.playbook("deploy.yml")
    assert deployed.status != 0
    assert "nothing is changed on any of them. ctl2 is in charge" in deployed.words, deployed.output
    rotated = cluster.live.playbook("rotate_jwt_key.yml", variables=CONFIRM)
    assert rotated.status != 0
    assert "Nothing was changed: ctl1 cannot be reached" in rotated.words, rotated.output
    assert "slurm_jwt_key_rotate_without" in rotated.words
    assert cluster.processes(*LEFT) == before


def test_a_key_is_rotated_without_it_and_does_not_come_back_with_it(cluster: Pair) -> None:
    """Goes on where the test before it ended: the host of the primary is off."""
    stolen = cluster.live.ssh("ctl2", SUM)
    cluster.live.playbook("rotate_jwt_key.yml", variables=EMERGENCY).good()
    assert not cluster.answers()
    cluster.renew()
    assert cluster.answers()
    new = {cluster.live.ssh(name, SUM) for name in ("ctl2", "db")}
    assert len(new) == 1
    assert new != {stolen}

    cluster.power_on("ctl1")
    cluster.wait_in_charge("ctl1")
    assert cluster.live.ssh("ctl1", SUM) == stolen
    diagnosed = cluster.live.playbook("doctor.yml")
    assert "jwt-keys-differ" in {cause for cause, _host in causes(diagnosed.output)}, diagnosed.output
    deployed = cluster.live.playbook("deploy.yml")
    assert deployed.status != 0
    assert "a rotation without ctl1 has ended" in deployed.words, deployed.output
    assert {cluster.live.ssh(name, SUM) for name in ("ctl2", "db")} == new

    cluster.live.ssh("ctl1", f"systemctl stop slurmctld; rm {KEY}")
    cluster.wait("ctl2", silent="ctl1")
    cluster.live.playbook("deploy.yml").good()
    assert {cluster.live.ssh("ctl1", SUM)} == new
    cluster.start("ctl1")
    cluster.wait("ctl1")
    assert cluster.live.playbook("deploy.yml", "doctor.yml").good().changed == 0
