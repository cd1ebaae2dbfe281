"""Deployments and upgrades that are interrupted: the cluster serves as before or as after, and a second run heals."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from slurmrest_toolkit.clusters.liveness import engine_of
from slurmrest_toolkit.clusters.state import load
from slurmrest_toolkit.support.progress import Progress
from tests.real.clusters import LiveCluster, live_cluster, slurmrest
from tests.real.interrupted.killing import killed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NODE = "node1"
DIRECTORY = "/etc/systemd/system/slurmrestd.service.d"
DROPIN = f"{DIRECTORY}/50-slurmrest.conf"
OVERRIDE = f"{DIRECTORY}/override.conf"
SOCKET = "unix:/run/slurmrestd/slurmrestd.socket"
# Two configurations that serve on the same published port; the second has a port more, and a word in another file.
BEFORE: dict[str, Any] = {"slurmrestd_service_listen": ["0.0.0.0:6820", SOCKET]}
AFTER: dict[str, Any] = {
    "slurmrestd_service_listen": ["0.0.0.0:6820", SOCKET, "127.0.0.1:6821"],
    "slurmrestd_service_environment": {"SITE_WORD": "verbose"},
}
# AF_UNIX alone: the daemon cannot bind its port.
REFUSED = {**AFTER, "slurmrestd_service_sandbox": {"RestrictAddressFamilies": "AF_UNIX"}}
SERVICE = ("--tags", "slurmrestd_service")
# Serves, and decides over the toolkit's drop-in; some releases would open a port twice that is in both places.
SITE_S = (
    "[Service]\nUnsetEnvironment=SLURMRESTD_LISTEN\n"
    "ExecStart=\nExecStart=/usr/sbin/slurmrestd -a rest_auth/jwt 0.0.0.0:6820\n"
)
PATIENCE = 60.0


@pytest.fixture(scope="module")
def cluster(release: str) -> Iterator[LiveCluster]:
    with live_cluster("interrupted", release) as live:
        live.playbook("deploy.yml", variables=BEFORE).good()
        yield live


def shape(cluster: LiveCluster) -> str:
    """Tell whether files and daemon are those of before or of after; anything else is a mixture."""
    said = cluster.ssh(
        NODE,
        f"grep -c 127.0.0.1:6821 {DROPIN}; grep -c verbose /etc/default/slurmrestd; ss -Hltn 'sport = :6821' | wc -l",
        check=False,
    ).split()
    return {"000": "before", "111": "after"}.get("".join(said), f"mixed: {said}")


def whole(cluster: LiveCluster, *shapes: str) -> str:
    """Wait until REST serves as one of the shapes (any, where none is named) and no run is at work; say which."""
    deadline = time.monotonic() + PATIENCE
    while True:
        # What a killed run left on the host goes on there until it is done: it holds the lock.
        busy = cluster.ssh(NODE, "flock -n /var/lib/slurmrest/lock true || echo busy", check=False).strip()
        now = shape(cluster)
        done = slurmrest("cluster", "curl", "--name", cluster.name, "diag")
        good = done.returncode == 0 and bool(json.loads(done.stdout or "{}").get("statistics"))
        if good and not busy and (now in shapes or not shapes):
            return now
        assert time.monotonic() < deadline, (now, busy, done.stdout[-300:], done.stderr)
        time.sleep(0.3)


def leftovers(cluster: LiveCluster) -> str:
    """Return copies and journals that a run has left behind."""
    return cluster.ssh(NODE, "find / -xdev -name '*slurmrest-rollback*' -o -xdev -name 'journal-*.json'")


def healed(cluster: LiveCluster, variables: Mapping[str, Any]) -> None:
    """Deploy: it works, is the wanted shape, leaves nothing behind, and the run after it has nothing to do."""
    cluster.playbook("deploy.yml", *SERVICE, variables=variables).good()
    whole(cluster, "after" if variables == AFTER else "before")
    assert leftovers(cluster) == ""


def test_the_controller_is_killed_at_each_task_of_a_deployment(cluster: LiveCluster, full: bool) -> None:
    healed(cluster, BEFORE)
    task, variables, seen = 0, AFTER, []
    while True:
        task += 1 if full else 5
        began = killed(cluster, "deploy.yml", task, 0.0 if task % 2 else 0.4, variables)
        now = whole(cluster, "before", "after")
        if not began:
            break
        seen.append(f"{began} -> {now}")
        healed(cluster, variables)
        variables = BEFORE if variables == AFTER else AFTER
    sys.stdout.write("\n".join([*seen, ""]))
    assert len(seen) > 3
    healed(cluster, BEFORE)


def test_the_controller_is_killed_while_the_service_restarts(cluster: LiveCluster) -> None:
    healed(cluster, BEFORE)
    for delay in (0.1, 0.3, 0.6, 0.9, 1.3):
        variables = BEFORE if shape(cluster) == "after" else AFTER
        assert killed(cluster, "deploy.yml", "Write drop-in", delay, variables)
        whole(cluster, "before", "after")
        healed(cluster, variables)
    healed(cluster, BEFORE)


HOLDER = r"""
for process in /proc/[0-9]*; do
    if [ -n "$(find $process/fd -lname /var/lib/slurmrest/lock 2>/dev/null)" ]; then echo ${process#/proc/}; fi
done
"""
JOURNAL = "/var/lib/slurmrest/journal-slurmrestd_service.json"


@pytest.fixture
def slow(cluster: LiveCluster) -> Iterator[LiveCluster]:
    """Return the cluster with a slurmrestd that takes a while to start: so long is the module at work."""
    healed(cluster, BEFORE)
    cluster.ssh(NODE, f"printf '[Service]\nExecStartPre=/bin/sleep 15\n' > {OVERRIDE}; systemctl daemon-reload")
    yield cluster
    cluster.ssh(NODE, f"rm -f {OVERRIDE}; systemctl daemon-reload; systemctl restart slurmrestd")


def killed_in_the_middle(cluster: LiveCluster) -> str:
    """Kill the controller when the new files are there and the journal still says how to undo them."""

    def in_the_middle() -> None:
        cluster.ssh(NODE, f"timeout 60 sh -c 'until [ -e {JOURNAL} ] && grep -q 6821 {DROPIN}; do sleep 0.1; done'")

    assert killed(cluster, "deploy.yml", "Write drop-in", in_the_middle, AFTER)
    holder = cluster.ssh(NODE, HOLDER).split()
    assert len(holder) == 1, holder
    assert "rollback" in leftovers(cluster)
    return holder[0]


def test_a_module_outlives_its_controller_and_the_next_run_waits_for_it(slow: LiveCluster) -> None:
    module = killed_in_the_middle(slow)
    began = time.monotonic()
    play = slow.playbook("deploy.yml", *SERVICE, variables=AFTER).good()
    assert slow.ssh(NODE, f"test -e /proc/{module} || echo gone").strip() == "gone"
    assert play.changed == 0, "the module went on alone, and the next run waited until it had done all of it"
    assert time.monotonic() - began > 8
    assert whole(slow, "after") == "after"
    assert leftovers(slow) == ""


@pytest.mark.parametrize("wanted", [BEFORE, AFTER], ids=["back", "on"])
def test_a_module_killed_with_its_controller_is_undone_by_the_next_run(
    slow: LiveCluster, wanted: dict[str, Any]
) -> None:
    slow.ssh(NODE, f"kill -9 {killed_in_the_middle(slow)}")
    assert "journal" in leftovers(slow)
    play = slow.playbook("deploy.yml", *SERVICE, variables=wanted).good()
    assert play.changed == 1
    assert whole(slow, "before" if wanted == BEFORE else "after")
    assert leftovers(slow) == ""
    assert slow.playbook("deploy.yml", *SERVICE, variables=wanted).good().changed == 0


def test_the_controller_is_killed_at_each_task_of_an_upgrade(cluster: LiveCluster, full: bool) -> None:
    healed(cluster, BEFORE)
    task, seen = 0, []
    while True:
        task += 1 if full else 5
        cluster.ssh(NODE, f"printf '{SITE_S}' > {OVERRIDE}; systemctl daemon-reload; systemctl restart slurmrestd")
        whole(cluster, "before")
        began = killed(cluster, "upgrade.yml", task, 0.3, BEFORE)
        whole(cluster, "before")
        there = cluster.ssh(NODE, f"ls {DIRECTORY}").split()
        assert there in (
            ["50-slurmrest.conf", "override.conf"],
            ["50-slurmrest.conf", "override.conf.slurmrest-kept"],
        ), there
        play = cluster.playbook("upgrade.yml", variables=BEFORE).good()
        assert "all good" in play.words
        assert cluster.ssh(NODE, f"ls {DIRECTORY}").split() == ["50-slurmrest.conf", "override.conf.slurmrest-kept"]
        assert leftovers(cluster) == ""
        cluster.ssh(NODE, f"rm {OVERRIDE}.slurmrest-kept")
        if not began:
            break
        seen.append(began)
    sys.stdout.write("\n".join([*seen, ""]))
    assert len(seen) > 2


@pytest.mark.parametrize("place", [DIRECTORY, "/var/lib/slurmrest"])
@pytest.mark.parametrize("playbook", ["deploy.yml", "upgrade.yml"])
def test_a_full_disk(cluster: LiveCluster, place: str, playbook: str) -> None:
    healed(cluster, BEFORE)
    state = load(cluster.name)
    assert state is not None
    engine = engine_of(state, Progress())
    pid = engine.call("inspect", "--format", "{{.State.Pid}}", state.nodes[0].container).strip()
    inside = ["nsenter", "--target", pid, "--mount"]
    cluster.ssh(NODE, f"rm -rf /root/kept; cp -a {place} /root/kept")
    subprocess.run([*inside, "mount", "-t", "tmpfs", "-o", "size=32k,mode=0755", "tmpfs", place], check=True)
    try:
        cluster.ssh(NODE, f"cp -a /root/kept/. {place}/; dd if=/dev/zero of={place}/filler bs=1k 2>/dev/null || true")
        play = cluster.playbook(playbook, variables=AFTER)
        assert play.status != 0
        assert "No space left on device" in play.words
        assert "Traceback" not in play.output
        assert whole(cluster, "before") == "before"
    finally:
        subprocess.run([*inside, "umount", place], check=True)
        cluster.ssh(NODE, "systemctl daemon-reload")
    play = cluster.playbook(playbook, variables=AFTER).good()
    assert "all good" in play.words
    assert whole(cluster, "after") == "after"
    assert leftovers(cluster) == ""


@pytest.mark.parametrize("playbook", ["deploy.yml", "upgrade.yml"])
def test_a_daemon_that_refuses_the_new_files(cluster: LiveCluster, playbook: str) -> None:
    healed(cluster, BEFORE)
    play = cluster.playbook(playbook, variables=REFUSED)
    assert play.status != 0
    assert "The previous state is back" in play.words
    assert "The daemon's own words" in play.words
    assert whole(cluster, "before") == "before"
    assert leftovers(cluster) == ""
    assert cluster.playbook("deploy.yml", variables=BEFORE).good().changed == 0
    cluster.playbook(playbook, variables=AFTER).good()
    assert whole(cluster, "after") == "after"


@pytest.mark.parametrize(("playbook", "delay"), [("deploy.yml", 0.2), ("upgrade.yml", 0.7), ("deploy.yml", 1.2)])
def test_the_host_drops_out(cluster: LiveCluster, playbook: str, delay: float) -> None:
    healed(cluster, BEFORE)
    state = load(cluster.name)
    assert state is not None
    engine = engine_of(state, Progress())
    assert killed(cluster, playbook, "Write drop-in", delay, AFTER)
    engine.call("restart", "--time=0", state.nodes[0].container)
    # The files of the transaction are renamed one after the other: it may serve with some of them until the next run.
    whole(cluster)
    healed(cluster, AFTER)
