"""Deployments and upgrades that are interrupted: the cluster serves as before or as after, and a second run heals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from testcluster.cluster import engine_of
from testcluster.progress import Progress
from testcluster.state import load
from tests.real.clusters import ROOT, LiveCluster, live_cluster, slurmrest
from tests.real.rotation.rotating import kill_tree

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
    "slurmrestd_service_debug": "verbose",
}
# AF_UNIX alone: the daemon cannot bind its port.
REFUSED = {**AFTER, "slurmrestd_service_sandbox": {"RestrictAddressFamilies": "AF_UNIX"}}
SERVICE = ("--tags", "slurmrestd_service")
# Serves, and decides over the toolkit's drop-in.
SITE_S = "[Service]\nExecStart=\nExecStart=/usr/sbin/slurmrestd -a rest_auth/jwt 0.0.0.0:6820\n"
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


def killed(cluster: LiveCluster, playbook: str, task: int, delay: float, variables: Mapping[str, Any]) -> str:
    """Kill the controller ``delay`` seconds after its n-th task has begun; return that task, or nothing at the end."""
    command = [
        *(sys.executable, "-P", "-m", "ansible", "playbook", f"playbooks/{playbook}"),
        *("--inventory", str(cluster.directory / "inventory" / "hosts.yml"), "--extra-vars", json.dumps(variables)),
    ]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**environment, "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            seen = 0
            for line in process.stdout:
                seen += line.startswith("TASK [")
                if line.startswith("PLAY [Verify"):
                    return ""
                if seen == task and line.startswith("TASK ["):
                    time.sleep(delay)
                    return line.strip(" *\n")
            return ""
        finally:
            kill_tree(process.pid)


def test_the_controller_is_killed_at_each_task_of_a_deployment(cluster: LiveCluster, full: bool) -> None:
    healed(cluster, BEFORE)
    task, variables, seen = 0, AFTER, []
    while True:
        task += 1 if full else 2
        began = killed(cluster, "deploy.yml", task, 0.0 if task % 4 < 2 else 0.4, variables)
        now = whole(cluster, "before", "after")
        if not began:
            break
        seen.append(f"{began} -> {now}")
        healed(cluster, variables)
        variables = BEFORE if variables == AFTER else AFTER
    sys.stdout.write("\n".join([*seen, ""]))
    assert len(seen) > 5
    healed(cluster, BEFORE)


def test_the_controller_is_killed_while_the_service_restarts(cluster: LiveCluster) -> None:
    healed(cluster, BEFORE)
    number = 0
    for delay in (0.1, 0.3, 0.6, 0.9, 1.3):
        variables = BEFORE if shape(cluster) == "after" else AFTER
        number = number or service_task(cluster, variables)
        assert "Write drop-in" in killed(cluster, "deploy.yml", number, delay, variables)
        whole(cluster, "before", "after")
        healed(cluster, variables)
    healed(cluster, BEFORE)


def service_task(cluster: LiveCluster, variables: Mapping[str, Any]) -> int:
    """Return the number of the task that changes the service, among those that begin."""
    listed = cluster.playbook("deploy.yml", "--check", variables=variables).good().output
    names = [line for line in listed.splitlines() if line.startswith("TASK [")]
    return next(number for number, line in enumerate(names, start=1) if "Write drop-in" in line)


def test_the_controller_is_killed_at_each_task_of_an_upgrade(cluster: LiveCluster, full: bool) -> None:
    healed(cluster, BEFORE)
    task, seen = 0, []
    while True:
        task += 1 if full else 3
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
        assert "all good" in play.output
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
        assert "No space left on device" in play.output
        assert "Traceback" not in play.output
        assert whole(cluster, "before") == "before"
    finally:
        subprocess.run([*inside, "umount", place], check=True)
        cluster.ssh(NODE, "systemctl daemon-reload")
    play = cluster.playbook(playbook, variables=AFTER).good()
    assert "all good" in play.output
    assert whole(cluster, "after") == "after"
    assert leftovers(cluster) == ""


@pytest.mark.parametrize("playbook", ["deploy.yml", "upgrade.yml"])
def test_a_daemon_that_refuses_the_new_files(cluster: LiveCluster, playbook: str) -> None:
    healed(cluster, BEFORE)
    play = cluster.playbook(playbook, variables=REFUSED)
    assert play.status != 0
    assert "The previous state is back" in play.output
    assert "The daemon's own words" in play.output
    assert whole(cluster, "before") == "before"
    assert leftovers(cluster) == ""
    assert cluster.playbook("deploy.yml", variables=BEFORE).good().changed == 0
    cluster.playbook(playbook, variables=AFTER).good()
    assert whole(cluster, "after") == "after"


@pytest.mark.parametrize("delay", [0.2, 0.7, 1.2])
def test_the_host_drops_out(cluster: LiveCluster, delay: float) -> None:
    healed(cluster, BEFORE)
    state = load(cluster.name)
    assert state is not None
    engine = engine_of(state, Progress())
    killed(cluster, "deploy.yml", service_task(cluster, AFTER), delay, AFTER)
    engine.call("restart", "--time=0", state.nodes[0].container)
    # The files of the transaction are renamed one after the other: it may serve with some of them until the next run.
    whole(cluster)
    healed(cluster, AFTER)
