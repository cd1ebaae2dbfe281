"""A site's cluster with two controllers: merged into, refused, and given back. The last of this topic."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.uninstall.test_uninstall import CONSENT, LOOK, WITH_KEY, changes

if TYPE_CHECKING:
    from tests.real.ha.pair import Pair

TO_SITE = r"""
sed -i -e '/^#/d' -e '/^AuthAlt/d' /etc/slurm/slurm.conf
[ ! -e /etc/slurm/slurmdbd.conf ] || sed -i -e '/^#/d' -e '/^AuthAlt/d' /etc/slurm/slurmdbd.conf
rm -rf /var/lib/slurm/jwt /var/lib/slurm/own /var/lib/slurmrest
"""
# What another test of this topic wrote, and upgrade.yml set aside, came back.
OWN_OVERRIDE = "rm -rf /etc/systemd/system/slurmrestd.service.d; systemctl daemon-reload\n"
RESTARTED = (("db", "slurmdbd"), ("ctl2", "slurmctld"), ("ctl1", "slurmctld"), ("db", "slurmd"))
REFUSES = "/etc/systemd/system/slurmctld.service.d/refuses.conf"
REFUSE = rf"""
mkdir -p $(dirname {REFUSES})
printf '[Service]\nExecStartPre=/bin/sh -c "! grep -q AuthAltTypes /etc/slurm/slurm.conf"\n' > {REFUSES}
systemctl daemon-reload
"""
PATIENCE = 120.0


@pytest.fixture(scope="module", name="site")
def a_site(cluster: Pair) -> Pair:
    """The cluster as one that a site made, without REST, and with nothing of this toolkit."""
    cluster.wait("ctl1")
    cluster.live.playbook("uninstall.yml", variables={"slurmrest_allow_controller_restart": True}).good()
    for node in cluster.cluster.nodes:
        cluster.live.ssh(node.name, TO_SITE + (OWN_OVERRIDE if "slurmrestd" in node.roles else ""))
    for host, unit in RESTARTED:
        cluster.live.ssh(host, f"systemctl restart {unit}")
    both_up(cluster)
    return cluster


def both_up(site: Pair, *, leader: str = "ctl1") -> None:
    """Wait until this controller is in charge and the other one stands by; REST is not asked."""
    deadline = time.monotonic() + PATIENCE
    while site.in_charge() != leader or not all(f"at {name} is UP" in site.ping("ctl2") for name in ("ctl1", "ctl2")):
        assert time.monotonic() < deadline, site.ping("ctl2")
        time.sleep(0.5)


def look(site: Pair) -> dict[str, list[str]]:
    """All that must be as before, by host."""
    return {node.name: site.live.ssh(node.name, LOOK).splitlines() for node in site.cluster.nodes}


def states(site: Pair) -> dict[str, list[str]]:
    """What systemd says of each controller's daemon, and of the timer of one that stands aside."""
    ask = "systemctl is-active slurmctld; systemctl list-units --all --plain --no-legend 'slurmrest-standby*'"
    return {name: site.live.ssh(name, ask, check=False).split() for name in ("ctl1", "ctl2")}


@pytest.mark.parametrize("stands_by", [True, False])
def test_a_refused_merge_takes_all_back_and_starts_nobody(site: Pair, stands_by: bool) -> None:
    files = {name: site.live.ssh(name, "sha256sum /etc/slurm/*.conf") for name in ("ctl1", "ctl2", "db")}
    site.live.ssh("ctl1", REFUSE)
    if not stands_by:
        site.live.ssh("ctl2", "systemctl stop slurmctld")
    try:
        before = states(site)
        refused = site.live.playbook("deploy.yml", variables=CONSENT)
        assert refused.status != 0
        assert "The previous files are back on db" in refused.words, refused.output
        assert {name: site.live.ssh(name, "sha256sum /etc/slurm/*.conf") for name in files} == files
        assert states(site) == before
    finally:
        site.live.ssh("ctl1", f"rm {REFUSES}; rmdir $(dirname {REFUSES}); systemctl daemon-reload")
        site.live.ssh("ctl2", "systemctl start slurmctld")
    both_up(site)
    site.live.playbook("uninstall.yml", variables=WITH_KEY).good()


def test_all_is_as_before(site: Pair) -> None:
    before = look(site)
    assert "all good" in site.live.playbook("deploy.yml", variables=CONSENT).good().output
    both_up(site)
    again = site.live.playbook("deploy.yml", variables=CONSENT).good()
    assert again.changed == 0, again.output
    rotate: dict[str, Any] = {**CONSENT, "slurm_jwt_key_rotate_confirm": True}
    site.live.playbook("rotate_jwt_key.yml", variables=rotate).good()
    both_up(site)

    announced = site.live.playbook("uninstall.yml", "--check", variables=WITH_KEY).good()
    play = site.live.playbook("uninstall.yml", variables=WITH_KEY).good()
    assert changes(play) == changes(announced)
    assert look(site) == before
    both_up(site)
    assert site.live.playbook("uninstall.yml", variables=WITH_KEY).good().changed == 0
    assert look(site) == before
    assert "done" in site.live.ssh("ctl1", "srun --immediate=30 --chdir=/tmp echo done")
