"""Two controllers: deployments, a key, a kill, a take-back, and what is said of each."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from tests.real.clusters import ROOT, slurmrest
from tests.real.ha.pair import SOON, SUM, Gap, Pair, causes, say, table, timed
from tests.real.rotation.measure import machine
from tests.real.rotation.rotating import CONFIRM, MEASURED

if TYPE_CHECKING:
    from pathlib import Path

RETRY_SECONDS = 1.0
"""After which Slurm asks again where no controller takes connections."""

RECORDED = ROOT / "docs" / "data" / "controllers.json"


def told(event: str, release: str, gap: Gap) -> None:
    """Say a gap, and keep it for docs/controllers.md when SLURMREST_RECORD is set."""
    what = json.loads(RECORDED.read_text())["events"][event]
    say(f"measured on {release} ha: {what}: {gap.longest:.2f} s ({gap.answers} good answers, {gap.bad} bad ones)")
    record(event, release, gap.longest)


def record(event: str, release: str, seconds: float) -> None:
    """Keep one gap of this release, in seconds."""
    if os.environ.get("SLURMREST_RECORD"):
        data = json.loads(RECORDED.read_text())
        data["machine"] = f"One run each, while others kept the machine busy. {machine()}"
        data["releases"].setdefault(release, {"gaps": {}})["gaps"][event] = round(seconds, 2)
        RECORDED.write_text(json.dumps(data, indent=1) + "\n")


def test_a_second_deployment_changes_nothing_and_no_request_fails(cluster: Pair, release: str) -> None:
    cluster.wait("ctl1")
    before = cluster.processes()
    with cluster.gap() as gap:
        play = cluster.live.playbook("deploy.yml").good()
    assert play.changed == 0, play.output
    assert cluster.processes() == before
    assert "slurmctld answers on ctl1, ctl2" in table(play.output)["ping"]
    assert "in charge" not in play.words
    told("second", release, gap)
    assert gap.longest < 5
    healthy = cluster.live.playbook("doctor.yml").good()
    assert "healthy: Slurm" in healthy.words


def test_controllers_and_rest_hosts_restart_one_after_the_other(cluster: Pair, release: str) -> None:
    before = cluster.processes()
    with cluster.gap() as gap:
        cluster.live.playbook("deploy.yml", variables={"slurm_conf_options": cluster.options(12)}).good()
    after = cluster.processes()
    assert [name for name in after if name.endswith("ctld") and after[name] == before[name]] == []
    told("deploy", release, gap)
    own = cluster.away("ctl1")
    say(f"slurmctld in charge was away for {own:.2f} s")
    assert gap.longest < own + RETRY_SECONDS + 1
    standby = cluster.live.ssh("ctl2", "systemctl is-active slurmctld; systemctl list-units --all 'slurmrest-*'")
    assert standby.split()[0] == "active"
    assert "slurmrest-standby" not in standby
    cluster.live.playbook("deploy.yml").good()
    cluster.wait("ctl1")


def test_a_new_key(cluster: Pair, release: str) -> None:
    play = cluster.live.playbook("rotate_jwt_key.yml", variables=CONFIRM).good()
    match = MEASURED.search(play.output)
    assert match, play.output
    say(f"measured on {release} ha: rotation: {match[0]}")
    record("rotate", release, float(match[2]))
    cluster.renew()
    same = {cluster.live.ssh(name, SUM) for name in ("ctl1", "ctl2", "db")}
    assert len(same) == 1
    cluster.wait("ctl1")


def test_degraded_is_not_broken(cluster: Pair, release: str, tmp_path: Path) -> None:
    with cluster.gap() as gap:
        cluster.kill("ctl1")
        cluster.wait("ctl2", silent="ctl1")
    told("kill", release, gap)

    verified = cluster.live.playbook("verify.yml").good()
    assert "WARNING  ctl2 is in charge: the primary controller ctl1 does not answer." in verified.output
    assert table(verified.output)["ping"].startswith("ok ping")

    diagnosed = cluster.live.playbook("doctor.yml", variables={"slurmrest_doctor_report": str(tmp_path / "report")})
    assert causes(diagnosed.output) == [("slurmctld-failed", "ctl1")], diagnosed.output
    (finding,) = json.loads((tmp_path / "report").read_text())["findings"]
    assert "ctl2 is in charge meanwhile, so that REST works" in finding["cause"]
    assert "nothing is answered" in finding["remedy"]

    token = slurmrest("cluster", "token", "--name", cluster.live.name, "--user", "alice")
    assert token.returncode == 0, token.stderr

    deployed = cluster.live.playbook("deploy.yml").good()
    assert deployed.changed == 0, deployed.output
    cluster.live.playbook("rotate_jwt_key.yml", variables=CONFIRM).good()
    cluster.renew()
    assert cluster.live.ssh("ctl1", "systemctl is-active slurmctld", check=False).strip() == "failed"

    with cluster.gap() as gap:
        cluster.start("ctl1")
        cluster.wait("ctl1")
    told("back", release, gap)
    cluster.live.playbook("verify.yml", "doctor.yml").good()


UPGRADED = "/etc/systemd/system/slurmrestd.service.d/override.conf"
OVERRIDE = "[Service]\\nExecStart=\\nExecStart=/usr/sbin/slurmrestd -a rest_auth/jwt 0.0.0.0:6820\\nNice=3\\n"


def test_a_migration_leaves_one_rest_host_serving(cluster: Pair, release: str) -> None:
    for name in ("rest1", "rest2"):
        cluster.live.ssh(name, f"printf '{OVERRIDE}' > {UPGRADED}; systemctl daemon-reload")
    with cluster.gap() as gap:
        play = cluster.live.playbook("upgrade.yml").good()
    assert "all good" in play.words
    told("upgrade", release, gap)
    assert cluster.live.playbook("upgrade.yml").good().changed == 0


def test_what_a_takeover_is_about_is_said_soon(cluster: Pair) -> None:
    cluster.takes_over_after(120)
    try:
        usual = {name: timed(cluster, name)[0] for name in ("verify.yml", "doctor.yml")}
        cluster.kill("ctl1")
        for name in ("verify.yml", "doctor.yml"):
            seconds, play = timed(cluster, name)
            assert "ctl1 is gone and ctl2 takes over from it" in play.words, play.output
            assert "SlurmctldTimeout 120 s" in play.words
            assert "timed out" not in play.words
            assert seconds < usual[name] + SOON
            say(f"{name} during a takeover: {seconds:.1f} s, otherwise {usual[name]:.1f} s")
    finally:
        cluster.start("ctl1")
        cluster.wait("ctl1")
        cluster.takes_over_after(10)
