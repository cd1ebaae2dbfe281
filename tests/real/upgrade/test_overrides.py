"""Overrides as admins wrote them, left over on the release that is installed now: migrated, with a copy, and undone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.real.clusters import LiveCluster, Play, live_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

NODE = "node1"
DIRECTORY = "/etc/systemd/system/slurmrestd.service.d"
OVERRIDE = f"{DIRECTORY}/override.conf"
ENVIRONMENT = "/etc/default/slurmrestd"
OF_22_05 = """\
# systemctl edit slurmrestd, 2022
[Service]
Environment="SLURM_JWT=daemon"
ExecStart=
ExecStart=/usr/sbin/slurmrestd -a rest_auth/jwt -s openapi/v0.0.38,openapi/dbv0.0.38 0.0.0.0:6820
User=slurmrestd
Nice=3
"""
DUPLICATE = """\
[Service]
User=slurmrestd
Group=slurmrestd
ExecStart=/usr/sbin/slurmrestd $SLURMRESTD_OPTIONS 0.0.0.0:6820
"""
BOTH_PLACES = """\
[Service]
User=slurmrestd
Environment=SLURM_JWT=daemon
Environment=SLURMRESTD_LISTEN=127.0.0.1:6820
"""
SECTIONED = """\
[Service]
Environment="SLURM_JWT=daemon"
ExecStart=
ExecStart=/usr/sbin/slurmrestd 0.0.0.0:6820
SLURMRESTD_OPTIONS="-s openapi/v0.0.38"
"""
STYLES = {
    # Of a site that this toolkit has served already, and of one that it has not.
    "22.05 over ours": (OVERRIDE, OF_22_05, True),
    "22.05 alone": (OVERRIDE, OF_22_05, False),
    "duplicate over ours": (OVERRIDE, DUPLICATE, True),
    "duplicate alone": (OVERRIDE, DUPLICATE, False),
    "listeners in both places": (OVERRIDE, BOTH_PLACES, False),
    "sections in the environment file": (ENVIRONMENT, SECTIONED, False),
    "sections over ours": (ENVIRONMENT, SECTIONED, True),
}
HANGS = """[Service]
Type=simple
ExecStart=
ExecStart=/usr/bin/python3 -c 'import socket, time; one = socket.create_server((\"\", 6818)); time.sleep(3600)'
"""
"""A slurmd that takes connections and answers none."""

CLEAN = f"rm -f {OVERRIDE}* {ENVIRONMENT}.slurmrest-kept*; systemctl daemon-reload; systemctl reset-failed slurmrestd"
# AF_UNIX alone: the daemon cannot bind its port.
REFUSED = {"slurmrestd_service_sandbox": {"RestrictAddressFamilies": "AF_UNIX"}}


@pytest.fixture(scope="module")
def cluster(release: str) -> Iterator[LiveCluster]:
    with live_cluster("overrides", release) as live:
        yield live


@pytest.fixture
def clean(cluster: LiveCluster) -> Iterator[LiveCluster]:
    """Return the cluster as deployed, and leave no file of a test behind."""
    yield cluster
    cluster.ssh(NODE, f"{CLEAN} || true")
    cluster.playbook("deploy.yml").good()


def put(cluster: LiveCluster, path: str, text: str, *, ours: bool) -> None:
    """Have a file of the site, with or without what this toolkit wrote, and the service on it."""
    gone = "true" if ours else f"rm -rf {DIRECTORY} {ENVIRONMENT} /var/lib/slurmrest"
    cluster.ssh(NODE, f"systemctl stop slurmrestd; {gone}; mkdir -p {DIRECTORY}; cat > {path} <<'END'\n{text}END\n")
    cluster.ssh(NODE, "systemctl daemon-reload; systemctl restart slurmrestd", check=False)


def upgrade(cluster: LiveCluster, *words: str, **variables: object) -> Play:
    """Run the upgrade without verifying more than it does itself."""
    return cluster.playbook("upgrade.yml", *words, variables=variables)


@pytest.mark.parametrize("style", STYLES)
def test_it_serves_after_the_upgrade(clean: LiveCluster, style: str) -> None:
    path, text, ours = STYLES[style]
    put(clean, path, text, ours=ours)
    announced = upgrade(clean, "--check", "--diff").good()
    assert f"{path}.slurmrest-kept" in announced.output
    assert clean.ssh(NODE, f"cat {path}") == text, "check mode changes nothing"
    play = upgrade(clean).good()
    assert "all good" in play.words
    assert clean.ssh(NODE, f"cat {path}.slurmrest-kept") == text
    left = clean.ssh(NODE, f"cat {OVERRIDE}", check=False)
    assert "ExecStart" not in left
    assert ("Nice=3" in left) == (text == OF_22_05)
    again = upgrade(clean).good()
    assert again.changed == 0, again.output


def test_a_listener_that_clients_use_is_not_taken_away_unseen(clean: LiveCluster) -> None:
    put(clean, OVERRIDE, DUPLICATE.replace("6820", "6899"), ours=True)
    play = upgrade(clean)
    assert play.status != 0
    assert "listener-lost" in play.output
    assert "6899" in clean.ssh(NODE, f"cat {OVERRIDE}")


def test_what_the_daemon_refuses_is_not_left_behind(clean: LiveCluster) -> None:
    override = "[Service]\nExecStart=\nExecStart=/usr/sbin/slurmrestd -a rest_auth/jwt 0.0.0.0:6820\n"
    put(clean, OVERRIDE, override, ours=True)
    clean.ssh(NODE, f"sed -i 's/SLURMRESTD_LISTEN=[^\"]*/SLURMRESTD_LISTEN=/' {DIRECTORY}/50-slurmrest.conf")
    clean.ssh(NODE, "systemctl daemon-reload; systemctl restart slurmrestd; sleep 1; systemctl is-active slurmrestd")
    before = clean.ssh(NODE, f"ls {DIRECTORY}; sha256sum {DIRECTORY}/*")
    play = upgrade(clean, **REFUSED)
    assert play.status != 0
    assert "The previous state is back" in play.words
    assert clean.ssh(NODE, f"ls {DIRECTORY}; sha256sum {DIRECTORY}/*") == before
    assert clean.ssh(NODE, "systemctl is-active slurmrestd").strip() == "active"
    # It serves as before; that the override has it run otherwise than the variables say is the one thing left to tell.
    verified = clean.playbook("verify.yml", variables={"slurmrestd_service_listen": ["0.0.0.0:6820"]})
    assert re.search(r"slurmrestd does not do what it should: process(?!,)", verified.words), verified.output
    assert "all good" in upgrade(clean).good().output


def test_an_instance_is_upgraded_alone(clean: LiveCluster) -> None:
    beta = {"slurm_common_slurmrestd_instance": "beta", "slurmrestd_service_listen": ["127.0.0.1:6821"]}
    clean.playbook("deploy.yml", variables=beta).good()
    directory = DIRECTORY.replace("slurmrestd", "slurmrestd@beta")
    override = OF_22_05.replace("0.0.0.0:6820", "127.0.0.1:6821")
    clean.ssh(NODE, f"cat > {directory}/override.conf <<'END'\n{override}END\nsystemctl daemon-reload")
    clean.ssh(NODE, "systemctl restart slurmrestd@beta", check=False)
    before = clean.ssh(NODE, f"systemctl show -p MainPID slurmrestd; sha256sum {DIRECTORY}/* {ENVIRONMENT}")
    assert upgrade(clean).good().changed == 0
    play = upgrade(clean, **beta).good()
    assert "all good" in play.words
    assert clean.ssh(NODE, f"ls {directory}").split() == [
        "50-slurmrest.conf",
        "override.conf",
        "override.conf.slurmrest-kept",
    ]
    assert "ExecStart" not in clean.ssh(NODE, f"cat {directory}/override.conf")
    assert clean.ssh(NODE, f"systemctl show -p MainPID slurmrestd; sha256sum {DIRECTORY}/* {ENVIRONMENT}") == before

    shared = "/etc/systemd/system/slurmrestd@.service.d"
    clean.ssh(NODE, f"mkdir {shared}; printf '[Service]\\nUser=nobody\\n' > {shared}/zz.conf; systemctl daemon-reload")
    play = upgrade(clean, **beta)
    assert play.status != 0
    assert "override-elsewhere" in play.output
    clean.ssh(NODE, f"rm -r {shared}; systemctl daemon-reload")
    clean.playbook("uninstall.yml", "--tags", "slurmrestd_service", variables=beta).good()
    assert clean.ssh(NODE, "systemctl show --value -p ActiveState slurmrestd@beta").strip() == "inactive"


def test_a_slurmd_that_hangs_ends_the_run(clean: LiveCluster) -> None:
    folder = "/run/systemd/system/slurmd.service.d"
    clean.ssh(NODE, f"mkdir -p {folder}; cat > {folder}/hangs.conf <<'END'\n{HANGS}END\nsystemctl daemon-reload")
    options = clean.inventory()["all"]["vars"]["slurm_conf_options"]
    try:
        play = clean.playbook("deploy.yml", variables={"slurm_conf_options": {**options, "KillWait": 31}})
    finally:
        clean.ssh(NODE, f"rm -r {folder}; systemctl daemon-reload; systemctl restart slurmd")
    assert play.status != 0
    assert "slurmd gave no answer within 30 s" in play.words, play.output
    assert "KillWait=31" not in clean.ssh(NODE, "cat /etc/slurm/slurm.conf")
