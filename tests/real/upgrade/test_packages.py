"""In place to the next Debian: Slurm 24.11 to 26.05 under jobs in the queue, and 22.05 to 24.11, which may not be."""

from __future__ import annotations

import itertools
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from slurmrest_toolkit.images.suites import SUITES
from tests.real.clusters import LiveCluster, live_cluster, slurmrest
from tests.real.interrupted.killing import killed

if TYPE_CHECKING:
    from collections.abc import Iterator

NODE = "node1"
NEXT = dict(itertools.pairwise(SUITES))
DUMP, COPY = "/root/slurm_acct_db.sql", "/root/slurmctld-state"
BACKUPS = {"slurmrest_upgrade_database_backup": DUMP, "slurmrest_upgrade_state_backup": COPY}
NEXT_SUITE = Path(__file__).with_name("next_suite.sh").read_text()
BINARY = Path(__file__).with_name("binary.sh").read_text()
PACKAGES: dict[str, Any] = {"slurmrest_upgrade_packages": True}
RUN = "sbatch --parsable --chdir=/tmp --output=/dev/null --uid=alice"


@pytest.fixture(scope="module")
def cluster(release: str) -> Iterator[LiveCluster]:
    """Return a cluster whose package sources are those of the next Debian by now, as an admin writes them."""
    if release not in NEXT:
        pytest.skip(f"no suite comes after that of {release}")
    with live_cluster("upgrade", release) as live:
        live.ssh(NODE, f"set -- {SUITES[release]} {SUITES[NEXT[release]]}\n{NEXT_SUITE}")
        yield live


def look(cluster: LiveCluster) -> str:
    """Return versions, processes and files that an upgrade changes."""
    return cluster.ssh(
        NODE,
        "dpkg-query -W 'slurm*'; systemctl show -p MainPID slurmrestd slurmctld slurmdbd slurmd; "
        "sha256sum /etc/slurm/*.conf /etc/default/slurmrestd /etc/systemd/system/slurmrestd.service.d/*",
    )


def state(cluster: LiveCluster, job: str) -> str:
    """Return the state of a job."""
    return cluster.ssh(NODE, f"scontrol show job {job} | grep -o 'JobState=[A-Z]*'").strip().partition("=")[2]


def stopped(cluster: LiveCluster, variables: dict[str, Any], *words: str) -> set[str]:
    """Run the upgrade, which has to stop; return what for."""
    play = cluster.playbook("upgrade.yml", *words, variables=variables)
    assert play.status != 0, play.output
    output = play.words
    assert "Nothing was changed" in output, play.output
    return set(re.findall(r"STOP (\S+):", output))


def test_what_slurm_does_not_allow_is_not_done(cluster: LiveCluster) -> None:
    if cluster.release != "22.05":
        pytest.skip("this jump is allowed")
    before = look(cluster)
    found = stopped(cluster, PACKAGES)
    assert {"jump-state", "jump-database", "backup-state", "backup-database"} <= found
    assert look(cluster) == before


def test_packages_are_upgraded_under_running_jobs_whatever_kills_the_run(cluster: LiveCluster) -> None:
    if cluster.release != "24.11":
        pytest.skip("this jump is not allowed")
    running = cluster.ssh(NODE, f"{RUN} --wrap 'sleep 3600'").strip()
    waiting = cluster.ssh(NODE, f"{RUN} --hold --wrap 'sleep 1'").strip()
    deadline = time.monotonic() + 30
    while state(cluster, running) != "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    asked = slurmrest("cluster", "curl", "--name", cluster.name, "--user", "alice", "/slurm/v0.0.40/jobs")
    assert asked.returncode == 0, asked.stderr
    before = look(cluster)

    assert stopped(cluster, PACKAGES, "--check") == {"api-gone", "backup-database", "backup-state"}
    cluster.ssh(NODE, f"touch {DUMP}; mkdir {COPY}; touch {COPY}/job_state")
    play = cluster.playbook("upgrade.yml", variables={**PACKAGES, **BACKUPS})
    assert "by alice" in play.words
    assert f"{DUMP} on {NODE} is empty" in play.words
    assert look(cluster) == before

    cluster.ssh(
        NODE,
        f"mariadb-dump --single-transaction slurm_acct_db > {DUMP}; cp -a /var/lib/slurm/slurmctld/. {COPY}/",
    )
    assert stopped(cluster, {**PACKAGES, **BACKUPS}) == {"api-gone"}
    accepted = {**PACKAGES, **BACKUPS, "slurmrest_upgrade_accept": ["api-gone"]}
    announced = cluster.playbook("upgrade.yml", "--check", variables=accepted).good()
    assert re.search(r"upgrade: .*\bslurmctld 24\.11", announced.words), announced.output
    assert look(cluster) == before

    def half_way() -> None:
        cluster.ssh(
            NODE, "timeout 300 sh -c 'until grep -q \" upgrade slurmctld\" /var/log/dpkg.log; do sleep 0.1; done'"
        )

    assert killed(cluster, "upgrade.yml", "Upgrade the packages and leave", half_way, accepted)
    asked = slurmrest("cluster", "curl", "--name", cluster.name, "diag")
    assert asked.returncode == 0, f"the former daemons serve: {asked.stderr}"
    play = cluster.playbook("upgrade.yml", variables=accepted).good()
    assert "all good" in play.words
    assert "Slurm 24.11.5 -> 26.05" in play.words
    assert cluster.ssh(NODE, "dpkg --audit; ls /usr/sbin/policy-rc.d", check=False) == ""
    for daemon in ("slurmrestd", "slurmctld", "slurmdbd", "slurmd"):
        assert f" {NEXT[cluster.release]}." in cluster.ssh(NODE, f"{daemon} -V"), daemon
        runs = cluster.ssh(NODE, f"set -- {daemon}\n{BINARY}").strip()
        assert daemon in runs
        assert "deleted" not in runs, f"{daemon} still runs from before"
    assert state(cluster, running) == "RUNNING"
    assert state(cluster, waiting) == "PENDING"
    cluster.ssh(NODE, f"scancel {running}; scontrol release {waiting}")
    deadline = time.monotonic() + 60
    while state(cluster, waiting) != "COMPLETED":
        assert time.monotonic() < deadline, state(cluster, waiting)
        time.sleep(0.2)

    again = cluster.playbook("upgrade.yml", variables=accepted).good()
    assert again.changed == 0, again.output
