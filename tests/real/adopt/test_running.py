"""A slurmrestd that somebody set up is adopted: its clients go on as if nothing had been."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.real.adopt.sites import BY_HAND, inventory
from tests.real.clusters import LiveCluster, live_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIGURATION = r"""
find /etc/systemd/system /etc/default /etc/tmpfiles.d -type f -exec sha256sum {} + | sort -k2
getent passwd; getent group
systemctl show -p MainPID -p ActiveState slurmrestd
"""
PROCESS = r"""
pid=$(systemctl show -p MainPID --value slurmrestd)
tr '\0' ' ' < /proc/$pid/cmdline; echo
stat -c '%U' /proc/$pid/cmdline
"""
# A client of both listeners, four times a second; any status is an answer of the service, 000 is none.
PORTAL = r"""
ask() { curl -s -m 2 -o /dev/null -w '%{http_code}' "$@"; }
while sleep 0.25; do
    tcp=$(ask http://127.0.0.1:6820/openapi/v3)
    echo "$(date +%s.%N) $tcp $(ask --unix-socket /run/restapi/api.socket http://x/openapi/v3)"
done
"""
RESTART_SECONDS = 5.0
"""A service has to be restarted to get its drop-in; clients must not see more of it than this."""


@pytest.fixture(scope="module")
def cluster(release: str) -> Iterator[LiveCluster]:
    with live_cluster("adopt-run", release) as live:
        yield live


@pytest.fixture(scope="module")
def site(cluster: LiveCluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an inventory that says nothing of slurmrestd, which runs as somebody set it up."""
    cluster.ssh("node1", BY_HAND)
    cluster.ssh("node1", "until curl -s -o /dev/null http://127.0.0.1:6820/; do sleep 0.1; done")
    return inventory(cluster, tmp_path_factory.mktemp("inventory"), slurmrest_verify_job_user="alice")


def outage(lines: list[str]) -> float:
    """Return the longest time in seconds for which a client of either listener had no answer."""
    longest = 0.0
    last: dict[int, float] = {}
    for line in lines:
        moment, *answers = line.split()
        for number, answer in enumerate(answers):
            if answer != "000":
                longest = max(longest, float(moment) - last.get(number, float(moment)))
                last[number] = float(moment)
    assert set(last) == {0, 1}, lines
    return longest


def test_first_the_run_says_what_it_found_and_what_it_would_change(cluster: LiveCluster, site: Path) -> None:
    before = cluster.ssh("node1", CONFIGURATION)
    play = cluster.playbook("deploy.yml", "--check", "--diff", inventory=site).good()
    assert cluster.ssh("node1", CONFIGURATION) == before
    for line in (
        'slurm_common_slurmrestd_user: "rest" stays',
        'slurmrestd_service_auth: "jwt" stays',
        'slurmrestd_service_listen: ["0.0.0.0:6820", "unix:/run/restapi/api.socket"] stays',
        "slurmrestd_service_threads: 12 stays",
        "slurmrestd_service_socket_everyone: true stays",
        "+User=rest",
        "+NoNewPrivileges=yes",
    ):
        assert line in play.output, line


def test_clients_find_everything_where_it_was(cluster: LiveCluster, site: Path) -> None:
    file = cluster.ssh("node1", "cat /etc/default/slurmrestd /etc/systemd/system/slurmrestd.service")
    cluster.ssh("node1", f"cat > /tmp/portal <<'END'\n{PORTAL}END\nsystemd-run -q -u portal sh /tmp/portal")
    play = cluster.playbook("deploy.yml", inventory=site).good()
    assert "all good" in play.words
    assert "of alice: COMPLETED" in play.words
    cluster.ssh("node1", "systemctl stop portal")
    lines = cluster.ssh("node1", "journalctl -q -o cat -u portal | grep -E '^[0-9.]+ [0-9]{3} [0-9]{3}$'").splitlines()
    assert outage(lines) < RESTART_SECONDS, lines
    command, account = cluster.ssh("node1", PROCESS).splitlines()
    assert account == "rest"
    assert re.findall(r"-t \S+|-v|-a \S+", command) == ["-v", "-v", "-a rest_auth/jwt", "-t 12"] or "-vv" in command
    assert "-t 12" in command
    asked = "runuser -u alice -- curl -s -o /dev/null -w '%{http_code}' --unix-socket /run/restapi/api.socket http://x/"
    assert cluster.ssh("node1", asked) in ("401", "404")
    assert cluster.ssh("node1", "cat /etc/default/slurmrestd /etc/systemd/system/slurmrestd.service") == file
    assert "slurmrestd" not in cluster.ssh("node1", "getent passwd | cut -d: -f1 | grep -x slurmrestd || true").split()


def test_a_second_run_finds_nothing_to_do(cluster: LiveCluster, site: Path) -> None:
    assert cluster.playbook("deploy.yml", inventory=site).good().changed == 0
    cluster.ssh("node1", "systemctl stop slurmrestd")
    play = cluster.playbook("deploy.yml", inventory=site).good()
    assert cluster.ssh("node1", PROCESS).splitlines()[1] == "rest", "what was adopted is remembered"
    assert play.changed == 1


def test_what_the_inventory_says_wins(cluster: LiveCluster, site: Path) -> None:
    cluster.playbook("deploy.yml", inventory=site, variables={"slurmrestd_service_threads": 20}).good()
    assert "-t 20" in cluster.ssh("node1", PROCESS)
    cluster.playbook("deploy.yml", inventory=site).good()
    assert "-t 12" in cluster.ssh("node1", PROCESS)


def test_a_directory_of_others_stays_theirs(cluster: LiveCluster, site: Path) -> None:
    """Its service would chown what is in it, and remove it at its end."""
    cluster.ssh("node1", "install -d -o slurm -g rest -m 2775 /run/shared; echo 7 > /run/shared/other.pid")
    listen = ["0.0.0.0:6820", "unix:/run/shared/rest.socket"]
    cluster.playbook("deploy.yml", inventory=site, variables={"slurmrestd_service_listen": listen}).good()
    asked = "runuser -u alice -- curl -s -o /dev/null -w '%{http_code}' --unix-socket /run/shared/rest.socket http://x/"
    there = "stat -c '%U:%G %a' /run/shared; cat /run/shared/other.pid"
    assert cluster.ssh("node1", asked) in ("401", "404")
    assert cluster.ssh("node1", there) == "slurm:rest 2775\n7\n"
    cluster.ssh("node1", "systemctl stop slurmrestd")
    assert cluster.ssh("node1", there) == "slurm:rest 2775\n7\n"
    cluster.playbook("deploy.yml", inventory=site).good()


def test_one_that_was_started_by_hand_is_named(cluster: LiveCluster, site: Path) -> None:
    cluster.ssh("node1", "systemctl stop slurmrestd")
    cluster.ssh("node1", "rm -rf /etc/systemd/system/slurmrestd.service.d /etc/default/slurmrestd")
    command = "env SLURM_JWT=daemon /usr/sbin/slurmrestd -a rest_auth/jwt 127.0.0.1:6820"
    cluster.ssh("node1", f"systemctl daemon-reload; systemd-run -q -u by-hand -p User=rest {command}")
    cluster.ssh("node1", "until curl -s -o /dev/null http://127.0.0.1:6820/; do sleep 0.1; done")
    before = cluster.ssh("node1", CONFIGURATION)
    play = cluster.playbook("deploy.yml", inventory=site)
    assert play.status != 0
    said = play.words
    assert "slurmrestd has port 6820, on which slurmrestd is told to listen" in said, said
    assert cluster.ssh("node1", CONFIGURATION) == before
    cluster.ssh("node1", "systemctl stop by-hand")
