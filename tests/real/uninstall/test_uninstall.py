"""A site's cluster is given slurmrestd and loses it again: everything is as before, and check mode said so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.clusters import LiveCluster, Play, live_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

NODE = "node1"
# The group variables of a test cluster name it: empty here, since the site owns the files.
SITE: dict[str, Any] = {"slurm_conf_cluster_name": ""}
CONSENT = {**SITE, "slurmrest_allow_controller_restart": True}
WITH_KEY = {**CONSENT, "slurmrest_uninstall_key": True}
WITHOUT_REST = {"slurm_common_components": ["slurmctld", "slurmdbd", "slurmd"]}

HERE = Path(__file__).parent
TO_SITE = (HERE / "become_site.sh").read_text()
LOOK = (HERE / "look.sh").read_text()
CHANGED = re.compile(r"^changed: \[(\S+?)\]", re.MULTILINE)
TASK = re.compile(r"^TASK \[(.+?)\]", re.MULTILINE)


@pytest.fixture(scope="module")
def site(release: str) -> Iterator[LiveCluster]:
    with live_cluster("uninstall", release, "--bare") as live:
        early = live.playbook("deploy.yml")
        assert early.status != 0
        assert early.changed == 0, early.output
        assert "slurmctld was never set up on it" in early.words
        assert "playbooks/cluster.yml makes a new cluster" in early.words
        live.playbook("cluster.yml", variables=WITHOUT_REST).good()
        live.ssh(NODE, TO_SITE)
        yield live


def look(site: LiveCluster) -> list[str]:
    """Return all that must be as before."""
    return site.ssh(NODE, LOOK).splitlines()


def changes(play: Play) -> list[tuple[str, str]]:
    """Return what changed as (task, host): tasks in order, the hosts of each by name, for they work side by side."""
    found = []
    for block in re.split(r"^(?=TASK \[)", play.output, flags=re.MULTILINE):
        name = TASK.match(block)
        found += [(name[1], host) for host in sorted(CHANGED.findall(block))] if name else []
    return found


def answers(site: LiveCluster) -> None:
    """Insist that the daemons work: a job runs to its end."""
    ask = "for n in $(seq 100); do sacctmgr -n list cluster && scontrol ping && exit; sleep 0.2; done; exit 1"
    site.ssh(NODE, ask)
    assert "done" in site.ssh(NODE, "srun --immediate=30 --chdir=/tmp echo done")


def without_key(lines: list[str]) -> list[str]:
    """Leave the key out, its directory, and the record that it was made here."""
    return [line for line in lines if "/var/lib/slurm/jwt" not in line and "/var/lib/slurmrest" not in line]


def test_a_host_that_never_had_it_is_left_alone(site: LiveCluster) -> None:
    before = look(site)
    play = site.playbook("uninstall.yml", variables=WITH_KEY).good()
    assert changes(play) == []
    assert look(site) == before


def test_no_new_cluster_is_made_where_the_site_has_its_own(site: LiveCluster) -> None:
    """MariaDB would have been restarted with settings of ours, and the directory of the state changed."""
    before = look(site)
    play = site.playbook("cluster.yml")
    assert play.status != 0
    assert play.changed == 0, play.output
    assert (
        "node1 is of a cluster that this toolkit did not make (/etc/slurm/slurm.conf, /etc/slurm/slurmdbd.conf)"
        in play.words
    )
    assert look(site) == before


def test_all_is_as_before(site: LiveCluster) -> None:
    before = look(site)
    assert not any("slurmrestd.service.d" in line for line in before)
    site.ssh(NODE, "sbatch --parsable -D /tmp -o /dev/null --uid=alice --wrap 'sleep 3600'")
    assert "all good" in site.playbook("deploy.yml", variables=CONSENT).good().output
    deployed = look(site)
    assert deployed != before

    announced = site.playbook("uninstall.yml", "--check", "--diff", variables=CONSENT).good()
    assert look(site) == deployed
    for said in ("50-slurmrest.conf", "/etc/default/slurmrestd", "account slurmrestd", "AuthAltTypes"):
        assert said in announced.output
    play = site.playbook("uninstall.yml", variables=CONSENT).good()
    assert changes(play) == changes(announced)
    assert without_key(look(site)) == before
    assert site.ssh(NODE, "squeue -h -o %T").split() == ["RUNNING"]
    site.ssh(NODE, "scancel --user alice")
    answers(site)
    again = site.playbook("uninstall.yml", variables=CONSENT).good()
    assert again.changed == 0, again.output

    announced = site.playbook("uninstall.yml", "--check", variables=WITH_KEY).good()
    play = site.playbook("uninstall.yml", variables=WITH_KEY).good()
    assert changes(play) == changes(announced)
    assert look(site) == before
    assert site.playbook("uninstall.yml", variables=WITH_KEY).good().changed == 0
    assert look(site) == before


def test_what_the_site_had_stays(site: LiveCluster) -> None:
    site.ssh(
        NODE,
        "useradd --system --user-group --no-create-home --home /nonexistent --shell /usr/sbin/nologin slurmrestd; "
        "mkdir /etc/systemd/system/slurmrestd.service.d; "
        "printf '[Service]\\nNice=5\\n' > /etc/systemd/system/slurmrestd.service.d/local.conf; systemctl daemon-reload",
    )
    before = look(site)
    site.playbook("deploy.yml", variables=CONSENT).good()
    play = site.playbook("uninstall.yml", variables=WITH_KEY).good()
    assert look(site) == before, play.output


def test_an_instance_goes_alone(site: LiveCluster) -> None:
    before = look(site)
    own = {"slurm_common_slurmrestd_instance": "beta", "slurmrestd_service_listen": ["127.0.0.1:6821"]}
    beta = {**CONSENT, **own}
    site.playbook("deploy.yml", variables=CONSENT).good()
    plain = look(site)
    pid = site.ssh(NODE, "systemctl show -p MainPID slurmrestd")
    site.playbook("deploy.yml", variables=beta).good()
    mine = ("--tags", "slurmrestd_service,slurmrestd_user")
    announced = site.playbook("uninstall.yml", *mine, "--check", variables=beta).good()
    play = site.playbook("uninstall.yml", *mine, variables=beta).good()
    assert changes(play) == changes(announced)
    assert [line for line in look(site) if "origin.json" not in line] == [
        line for line in plain if "origin.json" not in line
    ]
    assert site.ssh(NODE, "systemctl show -p MainPID slurmrestd") == pid
    site.playbook("verify.yml", variables=CONSENT).good()
    site.playbook("uninstall.yml", variables=WITH_KEY).good()
    assert look(site) == before


def test_without_consent_the_daemons_are_left_alone(site: LiveCluster) -> None:
    site.playbook("deploy.yml", variables=CONSENT).good()
    pid = "systemctl show -p MainPID slurmctld slurmdbd; cat /etc/slurm/slurm.conf"
    before = site.ssh(NODE, pid)
    play = site.playbook("uninstall.yml", variables=SITE).good()
    assert "- AuthAltTypes=auth/jwt" in play.words
    assert "then: systemctl restart slurmctld" in play.words
    assert site.ssh(NODE, pid) == before
    assert site.ssh(NODE, "systemctl is-active slurmrestd", check=False).strip() == "inactive"
    refused = site.playbook("uninstall.yml", variables={**SITE, "slurmrest_uninstall_key": True})
    assert refused.status != 0
    assert "The JWT key stays" in refused.words
    site.playbook("uninstall.yml", variables=WITH_KEY).good()
    answers(site)
