"""A database made anew, a node that is gone, a plugin that is not there: every playbook stops and changes nothing."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.slurm.releases import lookup

from tests.real.clusters import LiveCluster, Play, live_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Runs = Mapping[str, tuple[str, dict[str, Any]]]

NODE = "node1"
SITE: dict[str, Any] = {"slurm_conf_cluster_name": ""}
CONSENT = {**SITE, "slurmrest_allow_controller_restart": True}
WITHOUT_REST = {"slurm_common_components": ["slurmctld", "slurmdbd", "slurmd"]}
ROTATE = {**CONSENT, "slurm_jwt_key_rotate_confirm": True}

HERE = Path(__file__).parent
TO_SITE = (HERE.parent / "uninstall" / "become_site.sh").read_text()
LOOK = (HERE / "look.sh").read_text()
WORKS = "for n in $(seq 100); do sacctmgr -n list cluster && scontrol ping && exit; sleep 0.2; done; exit 1"
GONE = (
    "scontrol create nodename=gone1 State=CLOUD CPUs=1 RealMemory=10 >&2 && "
    "sbatch --parsable --uid=alice --chdir=/tmp --output=/dev/null -w gone1 --wrap true && "
    "scontrol delete nodename=gone1 >&2"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return what restarts or reconfigures slurmctld on a cluster that has a REST service: playbook and variables."""
    modulus = base64.urlsafe_b64encode(b"\xff" + os.urandom(254) + b"\x01").decode().rstrip("=")
    keys = {"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "one", "n": modulus, "e": "AQAB"}]}
    path = tmp_path_factory.mktemp("issuer") / "jwks.json"
    path.write_text(json.dumps(keys))
    jwks = {"slurm_jwks_issuers": [{"name": "issuer", "file": str(path)}], "slurm_jwks_acknowledged": True}
    return {
        "rotation": ("rotate_jwt_key.yml", ROTATE),
        "uninstall": ("uninstall.yml", CONSENT),
        "jwks": ("deploy.yml", {**CONSENT, **jwks}),
    }


@pytest.fixture(scope="module")
def site(release: str) -> Iterator[LiveCluster]:
    """Give a cluster with files of its own, and nothing of this toolkit yet."""
    with live_cluster("restart", release, "--bare") as live:
        options = {**live.inventory()["all"]["vars"]["slurm_conf_options"], "MaxNodeCount": 8}
        live.playbook("cluster.yml", variables={**WITHOUT_REST, "slurm_conf_options": options}).good()
        live.ssh(NODE, TO_SITE)
        yield live


def checked(release: str) -> bool:
    """Return whether the release looks at the cluster's id."""
    return lookup(f"{release}.0").release.cluster_id_checked


def refused(site: LiveCluster, playbook: str, variables: dict[str, Any]) -> Play:
    """Run a playbook that must change nothing and leave every daemon as it is."""
    before = site.ssh(NODE, LOOK)
    play = site.playbook(playbook, variables=variables)
    assert play.status != 0, play.output
    assert site.ssh(NODE, LOOK) == before, play.output
    return play


def test_the_job_lives_that_asks_for_a_node_which_is_gone(site: LiveCluster) -> None:
    job = site.ssh(NODE, GONE).strip()
    named = f"job {job} of alice (asks for gone1)"
    assert named in refused(site, "deploy.yml", CONSENT).output
    assert "slurmrest_allow_state_loss=true" in refused(site, "deploy.yml", CONSENT).output
    assert site.ssh(NODE, f"squeue -h -j {job} -o %T").strip() == "PENDING"
    site.ssh(NODE, f"scancel {job}")

    site.ssh(NODE, "scontrol update partitionname=main MaxTime=60")
    assert "partition main has MaxTime=01:00:00" in refused(site, "deploy.yml", CONSENT).output
    site.playbook("deploy.yml", variables={**CONSENT, "slurmrest_allow_state_loss": True}).good()


def test_what_comes_later_lets_it_live(site: LiveCluster, runs: Runs) -> None:
    job = site.ssh(NODE, GONE).strip()
    for run in runs.values():
        assert f"job {job} of alice (asks for gone1)" in refused(site, *run).output
    # Nothing to do is no reason to stop.
    site.playbook("deploy.yml", variables=CONSENT).good()
    site.ssh(NODE, f"scancel {job}")
    site.playbook("rotate_jwt_key.yml", variables=ROTATE).good()


def test_a_plugin_that_is_not_there(site: LiveCluster, runs: Runs) -> None:
    plugin = site.ssh(NODE, "scontrol show config | sed -n 's/^PluginDir *= //p'").strip() + "/select_cons_tres.so"
    site.ssh(NODE, f"mv {plugin} {plugin}.away")
    try:
        for run in runs.values():
            assert "the plugin select/cons_tres is not there" in refused(site, *run).output
    finally:
        site.ssh(NODE, f"mv {plugin}.away {plugin}")


def test_a_state_that_may_not_be_written(site: LiveCluster, runs: Runs) -> None:
    state = "/var/lib/slurm/slurmctld"
    site.ssh(NODE, f"chown root {state}; chmod 755 {state}")
    try:
        for run in runs.values():
            said = refused(site, *run).output
            assert state in said
            assert "slurm may not write" in said
    finally:
        site.ssh(NODE, f"chown slurm {state}; chmod 700 {state}")


def test_a_database_made_anew(site: LiveCluster, release: str, runs: Runs) -> None:
    site.ssh(
        NODE,
        "mariadb -e 'drop database slurm_acct_db; create database slurm_acct_db'; systemctl restart slurmdbd; "
        "for n in $(seq 100); do sacctmgr -i add cluster slurmrest && exit; sleep 0.2; done; exit 1",
    )
    if not checked(release):
        site.playbook("rotate_jwt_key.yml", variables=ROTATE)
        assert site.ssh(NODE, "systemctl is-active slurmctld").strip() == "active"
        return
    for run in runs.values():
        play = refused(site, *run)
        assert "CLUSTER ID MISMATCH" in play.output
        assert "rm /var/lib/slurm/slurmctld/clustername" in play.output
    # The remedy, word by word.
    site.ssh(NODE, "systemctl stop slurmctld; rm /var/lib/slurm/slurmctld/clustername; systemctl start slurmctld")
    site.ssh(NODE, WORKS)
    site.playbook("uninstall.yml", variables=CONSENT).good()

    # And before the first deployment.
    site.ssh(
        NODE,
        "mariadb -e 'drop database slurm_acct_db; create database slurm_acct_db'; systemctl restart slurmdbd; "
        "for n in $(seq 100); do sacctmgr -i add cluster slurmrest && exit; sleep 0.2; done; exit 1",
    )
    assert "CLUSTER ID MISMATCH" in refused(site, "deploy.yml", CONSENT).output
    site.ssh(NODE, "systemctl stop slurmctld; rm /var/lib/slurm/slurmctld/clustername; systemctl start slurmctld")
    site.ssh(NODE, WORKS)
