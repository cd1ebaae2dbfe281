"""Cases of test clusters on an ordinary host: one cgroup v2 tree, systemd, AppArmor, an engine as people have it."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from tests.vm.machine import until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.vm.machine import Machine

COMMANDS = {
    "rootless": "scripts/slurmrest",
    "root": "sudo scripts/slurmrest",
    "docker": "env SLURMREST_ENGINE=docker scripts/slurmrest",
}
ENGINES = {"rootless": "podman", "root": "sudo podman", "docker": "docker"}
PATIENCE = 3600

RUNC = """#!/usr/bin/python3
import json, os, shutil, sys
words = sys.argv[1:]
if "create" in words:
    path = words[words.index("--bundle") + 1] + "/config.json"
    with open(path) as file:
        told = json.load(file)
    place = "/etc/mysql/mariadb.conf.d/98-vm.cnf"
    told["mounts"].append({"destination": place, "type": "bind", "source": place, "options": ["rbind", "ro"]})
    with open(path, "w") as file:
        json.dump(told, file)
os.execv(shutil.which("runc"), ["runc", *words])
"""
"""Gives containers of Docker what ``prepare.sh`` has Podman give them: MariaDB wants more addresses than there are."""

DAEMON = {"runtimes": {"vm": {"path": "/usr/local/sbin/runc-vm"}}, "default-runtime": "vm"}


class Host:
    """How an engine is used on the machine."""

    def __init__(self, machine: Machine, kind: str) -> None:
        """Remember it."""
        self.machine, self.kind = machine, kind

    def slurmrest(self, *words: str, fine: bool = True) -> str:
        """Run the command as the ordinary user types it, and return what it says.

        Raises:
            AssertionError: it fails and should not, or the other way round.
        """
        patience = ["--patience", str(PATIENCE)] if words[:2] == ("cluster", "up") else []
        line = f"cd slurmrest-toolkit && {COMMANDS[self.kind]} {shlex.join([*words, *patience])}"
        done = self.machine.run(line)
        assert (done.returncode == 0) == fine, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout + done.stderr

    def up(self, *words: str) -> str:
        """Start a cluster and return the seconds of its phases; it has answered a request besides."""
        said: dict[str, Any] = json.loads(
            self.slurmrest("cluster", "up", "--json", *words).partition("\n}\n")[0] + "\n}"
        )
        asked = self.slurmrest("cluster", "curl", "--name", said["name"], "diag")
        assert '"statistics"' in asked, asked
        return ", ".join(f"{phase} {seconds:.0f}" for phase, seconds in said["timings"].items())

    def left(self) -> str:
        """Return what there is of clusters: containers, networks, volumes, files."""
        engine = ENGINES[self.kind]
        lines = [
            f"{engine} ps --all --quiet --filter label=slurmrest.cluster",
            f"{engine} network ls --quiet --filter label=slurmrest.cluster",
            f"{engine} volume ls --quiet --filter label=slurmrest.cluster",
            "ls .local/state/slurmrest/clusters 2>/dev/null",
        ]
        return self.machine.run("; ".join(lines)).stdout.strip()

    def clear(self) -> None:
        """Remove all clusters."""
        if self.left():
            self.slurmrest("cluster", "down", "--all")
        assert self.left() == "", self.left()


def prepare(machine: Machine, kind: str, archives: Sequence[Path] = ()) -> None:
    """Give a machine the tree under test, and Docker what Podman has from its image; load archives of images."""
    machine.push()
    if kind == "docker":
        prepare_docker(machine)
    for archive in archives:
        machine.read(archive.absolute(), f"{ENGINES[kind]} load")


def prepare_docker(machine: Machine) -> None:
    """Have Docker start its containers as ``RUNC`` says."""
    script = (
        f"printf %s {shlex.quote(RUNC)} >/usr/local/sbin/runc-vm && chmod 755 /usr/local/sbin/runc-vm &&"
        f" mkdir -p /etc/docker && printf %s {shlex.quote(json.dumps(DAEMON))} >/etc/docker/daemon.json &&"
        " systemctl restart docker.socket"
    )
    done = machine.run(script, user="root")
    assert done.returncode == 0, done.stderr


# --- cases -----------------------------------------------------------------------------------------------------------


def cold(host: Host) -> str:
    """From nothing: base image, packages, playbooks, images of converged nodes."""
    return host.up("one")


def warm(host: Host) -> str:
    """The next one starts from images."""
    host.clear()
    return host.up("one")


def two_at_once(host: Host) -> str:
    """A second cluster beside the first; both answer."""
    seconds = host.up("two")
    assert '"statistics"' in host.slurmrest("cluster", "curl", "--name", "one", "diag")
    host.slurmrest("cluster", "down", "two")
    return seconds


def carried(host: Host) -> str:
    """Images are saved, removed, loaded, and started from."""
    host.clear()
    host.slurmrest("cluster", "cache", "save", "/var/tmp/cache.tar")
    host.slurmrest("cluster", "prune")
    host.slurmrest("cluster", "cache", "load", "/var/tmp/cache.tar")
    seconds = host.up("one")
    assert "cluster" not in seconds, seconds
    return seconds


def killed(host: Host) -> str:
    """What a killed command leaves is replaced by the next one of the name."""
    host.clear()
    line = f"cd slurmrest-toolkit && exec {COMMANDS[host.kind]} cluster up one >/dev/null 2>&1"
    host.machine.run(f"({line}) & sleep 1; until [ -d .local/state/slurmrest/clusters/one ]; do sleep 1; done")
    host.machine.run("pkill -KILL -f 'slurmrest_toolkit cluster up'", user="root")
    assert "not finished" in host.slurmrest("cluster", "list")
    return host.up("one")


def rebooted(host: Host) -> str:
    """After a reboot the cluster is called stopped, since when is said, and the next one of the name starts."""
    host.machine.reboot()
    listed = host.slurmrest("cluster", "list")
    assert "stopped, since this host was rebooted" in listed, listed
    assert "stopped, since this host was rebooted" in host.slurmrest("doctor", "--name", "one", fine=False)
    return host.up("one")


def split(host: Host) -> str:
    """Five nodes, each with its part."""
    host.clear()
    return host.up("wide", "--layout", "split", "--nodes", "2")


def nothing_left(host: Host) -> str:
    """Nothing is left of clusters that were removed."""
    host.clear()
    until(lambda: host.left() == "", 60, "something is left")
    return "no container, network, volume or file"


def told(host: Host, account: str, options: str, remedy: str) -> str:
    """A new account is told what helps before anything is built."""
    host.machine.run(f"useradd {options} --create-home {account}; chmod 755 /home/ci", user="root")
    line = f"cd /home/ci/slurmrest-toolkit && sudo -u {account} scripts/slurmrest cluster up"
    done = host.machine.run(line, user="root")
    assert remedy in done.stderr, done.stderr
    return f"told: {remedy}"


def without_session(host: Host) -> str:
    """A service's account without a session."""
    return told(host, "svc", "", "loginctl enable-linger")


def without_ids(host: Host) -> str:
    """An account without subordinate ids."""
    return told(host, "nosub", "--system", "usermod --add-subuids")


CASES = (cold, warm, two_at_once, carried, killed, rebooted, split, nothing_left)
ROOTLESS = (without_session, without_ids)


def cases(kind: str) -> Sequence[Callable[[Machine], str]]:
    """Return the cases of an engine, each of which takes the machine."""

    def on(case: Callable[[Host], str]) -> Callable[[Machine], str]:
        def run(machine: Machine) -> str:
            return case(Host(machine, kind))

        run.__name__, run.__doc__ = case.__name__, case.__doc__
        return run

    return [on(case) for case in (*CASES, *(ROOTLESS if kind == "rootless" else ()))]
