"""Rotations of a real cluster: run them, kill them, and see from outside what is in force."""

from __future__ import annotations

import base64
import contextlib
import itertools
import re
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from slurmrest.auth import jwt
from slurmrest.rest.client import Credentials, Target
from slurmrest.rotation.acceptance import Routes, prove, routes

from slurmrest_toolkit.clusters.state import load
from tests.real.clusters import LiveCluster, Play, live_cluster

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

KEY = "/var/lib/slurm/jwt/jwt_hs256.key"
STATE = "/var/lib/slurm/slurmctld"
CONFIRM = {"slurm_jwt_key_rotate_confirm": True}
LAYOUTS = {"single": (), "split": ("--layout", "split")}
MEASURED = re.compile(r"first to the new key's: ([\d.]+) s\. .*: /slurm ([\d.]+) s, /slurmdb ([\d.]+) s")
SWITCHING = re.compile(r"^\S+: replace the key by rename, ")
CHANGING = re.compile(rf"{SWITCHING.pattern}|^Proving over HTTP|^From the last answer")
"""What the task that changes the key says as it goes on, from host to host."""

STEP = re.compile(rf"^TASK \[|{CHANGING.pattern}")

ROTATION_ONLY = ("--tags", "slurm_jwt_key")
"""Without new tokens for services and without verify.yml."""


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
        content = self.live.inventory()
        content["all"]["children"]["slurmctld"]["hosts"][host] = {}
        self.inventory.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        # It answers once it has the heartbeat of the primary, which a site has on a file system that both share; alone,
        # the primary writes none.
        beat = base64.b64encode(struct.pack(">QQ", int(time.time()), 0)).decode()
        self.live.ssh(host, f"install -d -o slurm -g slurm {STATE}; echo {beat} | base64 -d > {STATE}/heartbeat")
        self.live.ssh(host, f"chown slurm:slurm {STATE}/heartbeat")
        self.live.playbook("cluster.yml").good()
        self.hosts.insert(1, host)

    def rotate(self, *words: str, whole: bool = False, **variables: Any) -> Play:
        """Run the playbook with the confirmation: all that it does, or the rotation alone."""
        only = () if whole else ROTATION_ONLY
        return self.live.playbook("rotate_jwt_key.yml", *only, *words, variables={**CONFIRM, **variables})

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
            key, *seen = self.found(host)
            same = key == good  # which one it is has no place in a report
            assert same, f"{host} has another key"
            assert seen == [["slurm", "slurm", "600", "1"], []], (host, seen)
        self.assert_accepted(good, bad)
        assert self.live.ssh(self.rest, f"test ! -e {KEY} || hostname").strip() in ("", *self.hosts)

    def assert_accepted(self, good: bytes, bad: bytes | None = None) -> None:
        """Both daemons accept tokens of the one key, and refuse those of the other."""
        proven = prove(self.routes(good), self.credentials(good), self.credentials(bad) if bad else None)
        assert sorted(path.split("/")[1] for path in proven) == ["slurm", "slurmdb"]

    def found(self, host: str) -> tuple[bytes, list[str], list[str]]:
        """The key of a host, its owner, group, mode and links, and what a rotation left beside it and the journals."""
        look = f"base64 -w 0 {KEY}; echo; stat -c '%U %G %a %h' {KEY}; ls -A $(dirname {KEY}) /var/lib/slurmrest"
        key, status, *names = self.live.ssh(host, look).splitlines()
        left = [name for name in names if re.search("slurmrest-|rotation-", name) and not name.startswith("lock")]
        return base64.b64decode(key), status.split(), left

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
        """Let a killed run look old once its last step on a host has ended: the next one need not wait and see."""
        old = "flock lock true && find . -name 'rotation-*' -exec touch -d '1 hour ago' {} +"
        for host in self.hosts:
            self.live.ssh(host, f"cd /var/lib/slurmrest && {old}")

    @contextlib.contextmanager
    def process(self, until: re.Pattern[str], times: int = 1) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """A run that has just said, for the n-th time, a line like this; killed with all below it at the end.

        Gives the process and the line, which is empty where the run came to its end, or to verify.yml, before.
        """
        with self.live.running("rotate_jwt_key.yml", *ROTATION_ONLY, variables=CONFIRM) as process:
            assert process.stdout is not None
            said = itertools.takewhile(lambda line: not line.startswith("PLAY [Verify"), process.stdout)
            matching = filter(until.search, said)
            yield process, next(itertools.islice(matching, times - 1, None), "").strip(" *\n")


@contextlib.contextmanager
def rotating(release: str, layout: str) -> Iterator[Rotating]:
    """Start a cluster for rotations."""
    with live_cluster(f"real-rotation-{layout}", release, *LAYOUTS[layout]) as live:
        yield Rotating(live, layout)
