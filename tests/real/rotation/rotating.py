"""Rotations of a real cluster: run them, kill them, and see from outside what is in force."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from slurmrest import jwt
from slurmrest.client import Credentials, Target
from slurmrest.watch import Routes, prove, routes

from testcluster.state import load
from tests.real.clusters import LiveCluster, Play, kill_tree, live_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "/var/lib/slurm/jwt/jwt_hs256.key"
STATE = "/var/lib/slurm/slurmctld"
CONFIRM = {"slurm_jwt_key_rotate_confirm": True}
LAYOUTS = {"single": (), "split": ("--layout", "split")}
MEASURED = re.compile(r"first to the new key's: ([\d.]+) s\. .*: /slurm ([\d.]+) s, /slurmdb ([\d.]+) s")
BOUNDARY = re.compile(r"^TASK \[|: replace the key by rename, |^Proving over HTTP|^From the last answer")
"""Lines that tell a next step: tasks, and what one task says when it goes on to another host."""


@dataclass
class Rotating:
    """A running cluster whose key changes."""

    live: LiveCluster
    layout: str
    hosts: list[str] = field(init=False)
    primary: str = field(init=False)

    def __post_init__(self) -> None:
        cluster = load(self.live.name)
        assert cluster is not None
        self.primary = cluster.controller.name
        self.hosts = [node.name for node in cluster.nodes if {"slurmctld", "slurmdbd"} & set(node.roles)]
        self.rest = cluster.rest_node.name
        self.inventory = self.live.directory / "inventory" / "hosts.yml"
        self._url = cluster.base_url

    def add_backup(self, host: str) -> None:
        """Make a node a backup controller, too: it stands by, and has the key."""
        # It waits for the heartbeat of the primary, which a site has on a file system that both share.
        beat = self.live.fetch(self.primary, f"cat {STATE}/heartbeat")
        heartbeat = "".join(f"\\{byte:03o}" for byte in beat)
        self.live.ssh(host, f"mkdir -p {STATE}; printf '{heartbeat}' > {STATE}/heartbeat")
        self.live.ssh(host, f"chown -R slurm:slurm {STATE}; chmod 0700 {STATE}")
        content = self.live.inventory()
        content["all"]["children"]["slurmctld"]["hosts"][host] = {}
        self.inventory.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        self.live.playbook("cluster.yml").good()
        self.hosts.insert(1, host)

    def rotate(self, *words: str, **variables: Any) -> Play:
        """Run the playbook with the confirmation."""
        return self.live.playbook("rotate_jwt_key.yml", *words, variables={**CONFIRM, **variables})

    def key(self, host: str | None = None) -> bytes:
        """The key of a host, in this process's memory only."""
        return self.live.fetch(host or self.primary, f"cat {KEY}")

    def credentials(self, key: bytes) -> Credentials:
        """An administrator's token signed with a key."""
        return Credentials("root", jwt.encode(jwt.claims_for("root", 600), jwt.Key(key)))

    def routes(self, key: bytes) -> Routes:
        """Where to ask from this host."""
        return routes(Target.parse(self._url), self.credentials(key), accounting=True)

    def assert_in_force(self, good: bytes, bad: bytes | None = None) -> None:
        """The same key on every host, no trace of a rotation, and its tokens accepted by both daemons, seen from here.

        Requests go in through the published port of the REST host, so they use nothing of what is tested.
        """
        for host in self.hosts:
            assert self.key(host) == good, f"{host} has another key"
            assert self.leftovers(host) == [], host
            said = self.live.ssh(host, f"stat -c '%U %G %a %h' {KEY}").split()
            assert said == ["slurm", "slurm", "600", "1"], host
        proven = prove(self.routes(good), self.credentials(good), self.credentials(bad) if bad else None)
        assert sorted(path.split("/")[1] for path in proven) == ["slurm", "slurmdb"]
        assert self.live.ssh(self.rest, f"test ! -e {KEY} || hostname").strip() in ("", *self.hosts)

    def leftovers(self, host: str) -> list[str]:
        """What a rotation may leave in the key's directory and beside the journals."""
        names = self.live.ssh(host, f"ls -A {os.path.dirname(KEY)} /var/lib/slurmrest").split()  # noqa: PTH120 - remote
        return [name for name in names if not name.startswith("lock") and ("slurmrest-" in name or "rotation-" in name)]

    def pids(self) -> dict[str, str]:
        """The main processes of all daemons."""
        units = "slurmctld slurmdbd slurmrestd"
        return {
            f"{host} {line.split()[0]}": line.split()[1]
            for host in {*self.hosts, self.rest}
            for line in self.live.ssh(
                host, f"for u in {units}; do echo $u $(systemctl show -p MainPID --value $u); done"
            ).splitlines()
        }

    def age(self) -> None:
        """Let the journals of a killed run look old, so that the next one need not wait to see whether it is dead."""
        for host in self.hosts:
            self.live.ssh(host, "find /var/lib/slurmrest -name 'rotation-*' -exec touch -d '1 hour ago' {} +")

    @contextlib.contextmanager
    def process(self, *words: str, **variables: Any) -> Iterator[subprocess.Popen[str]]:
        """The playbook as a process group of its own, whose output can be read while it runs."""
        with self.live.running(
            "rotate_jwt_key.yml", *words, variables={**CONFIRM, **variables}, inventory=self.inventory
        ) as process:
            yield process

    def kill_at(self, boundary: int, delay: float) -> str:
        """Run and kill everything on this side ``delay`` seconds after a step was announced; returns the announcement.

        An empty string means that the run was over before. What the hosts were doing goes on there.
        """
        seen = 0
        with self.process() as process:
            assert process.stdout is not None
            for line in process.stdout:
                if BOUNDARY.search(line):
                    seen += 1
                    if seen == boundary:
                        time.sleep(delay)
                        kill_tree(process.pid)
                        return line.strip()
                if line.startswith("PLAY [Verify"):
                    return ""
        return ""


@contextlib.contextmanager
def rotating(release: str, layout: str, what: str = "") -> Iterator[Rotating]:
    """Start a cluster for rotations; ``what`` is done with it names it where that is not its layout."""
    with live_cluster(f"real-rotation-{what or layout}", release, *LAYOUTS[layout]) as live:
        yield Rotating(live, layout)
