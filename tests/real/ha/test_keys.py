"""A key at a place of its own on the backup controller: it stays there, is rotated there, and is mended there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.real.ha.pair import KEY, Pair, causes
from tests.real.rotation.rotating import CONFIRM

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.clusters import Play

OWN = "/var/lib/slurm/own/backup.key"
PLACES = {"ctl1": KEY, "ctl2": OWN, "db": KEY}


def deployed_with(cluster: Pair, tmp_path: Path, place: str, *words: str) -> Play:
    """Deploy with a place of the key that the inventory says of the backup alone."""
    more = tmp_path / "places.yml"
    more.write_text(json.dumps({"all": {"hosts": {"ctl2": {"slurm_common_jwt_key_path": place}}}}))
    return cluster.live.playbook("deploy.yml", "--inventory", str(more), *words).good()


def keys(cluster: Pair) -> set[str]:
    """The sums of the key that each daemon's configuration names, which is to be but one."""
    named = {}
    for host in PLACES:
        said = "sed -n 's/.*jwt_key=\\([^,]*\\).*/\\1/p' /etc/slurm/slurm.conf /etc/slurm/slurmdbd.conf 2>/dev/null"
        named[host] = cluster.live.ssh(host, f"{said} | sort -u").strip()
    assert named == PLACES
    return {cluster.live.ssh(host, f"sha256sum < {path}") for host, path in PLACES.items()}


def test_a_place_that_the_inventory_names_for_one_host(cluster: Pair, tmp_path: Path) -> None:
    cluster.wait("ctl1")
    before = cluster.processes("ctl1", "db", "rest1", "rest2")
    announced = deployed_with(cluster, tmp_path, OWN, "--check", "--diff")
    assert f"jwt_key={OWN}" in announced.output, announced.output
    assert deployed_with(cluster, tmp_path, OWN).changed > 0
    assert len(keys(cluster)) == 1
    assert cluster.processes("ctl1", "db", "rest1", "rest2") == before
    cluster.wait("ctl1")
    again = deployed_with(cluster, tmp_path, OWN)
    assert again.changed == 0, again.output


def test_a_place_that_slurm_conf_names_stays(cluster: Pair) -> None:
    again = cluster.live.playbook("deploy.yml").good()
    assert again.changed == 0, again.output
    keys(cluster)
    cluster.live.playbook("verify.yml", "doctor.yml").good()


def test_it_is_rotated_there(cluster: Pair) -> None:
    before = keys(cluster)
    cluster.live.playbook("rotate_jwt_key.yml", variables=CONFIRM).good()
    cluster.renew()
    after = keys(cluster)
    assert len(after) == 1
    assert after != before
    cluster.wait("ctl1")


def test_the_backup_serves_with_it(cluster: Pair) -> None:
    cluster.kill("ctl1")
    cluster.wait("ctl2", silent="ctl1")
    cluster.renew()  # made by the backup
    assert cluster.answers()
    cluster.live.playbook("verify.yml").good()
    cluster.start("ctl1")
    cluster.wait("ctl1")


def test_it_is_mended_there(cluster: Pair) -> None:
    cluster.live.ssh("ctl2", f"rm {OWN}")
    said = causes(cluster.live.playbook("doctor.yml").output)
    assert ("jwt-key-missing", "ctl2") in said, said
    assert {host for _cause, host in said} == {"ctl2"}, said
    assert cluster.live.playbook("deploy.yml").good().changed > 0
    assert len(keys(cluster)) == 1
    told = cluster.live.playbook("doctor.yml")
    assert causes(told.output) == [("jwt-key-not-loaded", "ctl2")], told.output
    assert "`systemctl restart slurmctld`" in told.words
    cluster.live.ssh("ctl2", "systemctl restart slurmctld")
    cluster.wait("ctl1")
    again = cluster.live.playbook("deploy.yml", "doctor.yml").good()
    assert again.changed == 0, again.output


def test_it_goes_back_to_where_the_others_have_it(cluster: Pair, tmp_path: Path) -> None:
    deployed_with(cluster, tmp_path, KEY)
    cluster.wait("ctl1")
    again = cluster.live.playbook("deploy.yml", "doctor.yml").good()
    assert again.changed == 0, again.output
    assert cluster.live.ssh("ctl2", f"sha256sum {KEY}") == cluster.live.ssh("ctl1", f"sha256sum {KEY}")
