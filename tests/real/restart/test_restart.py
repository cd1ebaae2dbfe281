"""Where a restart would take something away every playbook stops and changes nothing, or restarts nothing."""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.slurm.releases import lookup

from tests.real.clusters import LiveCluster, Play, live_cluster
from tests.real.restart.states import ANEW, NODE, STATES, WORKS, State, broken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Runs = Mapping[str, tuple[str, dict[str, Any]]]

SITE: dict[str, Any] = {"slurm_conf_cluster_name": ""}
CONSENT = {**SITE, "slurmrest_allow_controller_restart": True}
WITHOUT_REST = {"slurm_common_components": ["slurmctld", "slurmdbd", "slurmd"]}
ROTATE = {**CONSENT, "slurm_jwt_key_rotate_confirm": True}

HERE = Path(__file__).parent
TO_SITE = (HERE.parent / "uninstall" / "become_site.sh").read_text()
LOOK = (HERE / "look.sh").read_text()
# On 22.05 squeue ends where the select plugin is gone.
BEHIND = (
    "systemctl show -p MainPID,ActiveState slurmdbd slurmctld; sha256sum /etc/slurm/*.conf; "
    "squeue -ah -o '%i %T' 2>/dev/null || true"
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each state of the release a test."""
    if "state" in metafunc.fixturenames:
        release = metafunc.config.getoption("--release")
        chosen = [state for state in STATES if release in state.releases]
        metafunc.parametrize("state", chosen, ids=str)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
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


@pytest.fixture(scope="module")
def deployed(site: LiveCluster) -> LiveCluster:
    """The same, served over REST from now on."""
    site.playbook("deploy.yml", variables=CONSENT).good()
    return site


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


def test_the_first_deployment_stops(site: LiveCluster, state: State) -> None:
    with broken(site, state):
        play = refused(site, "deploy.yml", CONSENT)
    assert re.search(state.said, play.words), play.output


def test_a_loss_can_be_accepted(site: LiveCluster) -> None:
    site.ssh(NODE, "scontrol update partitionname=main MaxTime=60")
    assert "slurmrest_allow_state_loss=true" in refused(site, "deploy.yml", CONSENT).output
    site.playbook("deploy.yml", variables={**CONSENT, "slurmrest_allow_state_loss": True}).good()


def test_what_comes_later_stops(deployed: LiveCluster, runs: Runs, state: State) -> None:
    with broken(deployed, state):
        for name, run in runs.items():
            play = refused(deployed, *run)
            assert re.search(state.said, play.words), f"{name}\n{play.output}"


def test_what_needs_no_restart_of_them_gives_them_none(deployed: LiveCluster, state: State) -> None:
    """An upgrade of the REST service, with something to do: daemons behind it, their files and their jobs stay."""
    own = {**CONSENT, "slurmrestd_service_environment": {"SEEN_IN": str(state)}}
    with broken(deployed, state):
        before = deployed.ssh(NODE, BEHIND)
        play = deployed.playbook("upgrade.yml", variables=own)
        assert deployed.ssh(NODE, BEHIND) == before, play.output
        assert deployed.ssh(NODE, "systemctl is-active slurmrestd", check=False).strip() == "active", play.output


def test_nothing_to_do_is_no_reason_to_stop(deployed: LiveCluster) -> None:
    deployed.playbook("deploy.yml", variables=CONSENT).good()
    with broken(deployed, STATES[0]):
        deployed.playbook("deploy.yml", variables=CONSENT).good()
    deployed.playbook("rotate_jwt_key.yml", variables=ROTATE).good()


def test_a_database_made_anew(deployed: LiveCluster, release: str) -> None:
    deployed.ssh(NODE, ANEW)
    if not checked(release):
        deployed.playbook("rotate_jwt_key.yml", variables=ROTATE)
        assert deployed.ssh(NODE, "systemctl is-active slurmctld").strip() == "active"
        return
    assert "rm /var/lib/slurm/slurmctld/clustername" in refused(deployed, "rotate_jwt_key.yml", ROTATE).words
    # The remedy, word by word.
    deployed.ssh(NODE, "systemctl stop slurmctld; rm /var/lib/slurm/slurmctld/clustername; systemctl start slurmctld")
    deployed.ssh(NODE, WORKS)
    deployed.playbook("uninstall.yml", variables=CONSENT).good()
