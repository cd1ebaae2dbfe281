"""A cluster with two controllers: who is in charge, who is killed, and the longest time without an answer."""

from __future__ import annotations

import itertools
import json
import re
import struct
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from slurmrest.rest.client import ClientError, Target, request
from slurmrest.slurm.releases import lookup

from slurmrest_toolkit.clusters import tokens
from slurmrest_toolkit.clusters.liveness import engine_of, refresh
from slurmrest_toolkit.clusters.state import STATE_SAVE_LOCATION, load
from slurmrest_toolkit.nodes.start import wait_for_ssh
from slurmrest_toolkit.support.progress import Progress
from tests.real.clusters import LiveCluster, Play, live_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTROLLERS = ("ctl1", "ctl2")
PATIENCE = 240.0
PAUSE = 0.05
STARTED = "systemctl show -p ExecMainStartTimestampMonotonic --value {}"
TIMES = ("ActiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
AWAY = f"systemctl show -p {','.join(TIMES)}"
KEY = "/var/lib/slurm/jwt/jwt_hs256.key"
SUM = f"sha256sum {KEY}"
SOON = 15.0
"""Seconds within which it is said what is going on, beyond what a run takes otherwise."""

_CAUSE = re.compile(r"\[([a-z-]+)\] on (\S+)")
_NAMES = "# names that stay"
LACKS = "systemctl is-failed --quiet slurmctld && journalctl -u slurmctld --lines=20 | grep 'file .* to recover'"
"""Prints a line where slurmctld ended over a file of its state."""

READ_HEARTBEAT = f"od -An -v -tx1 {STATE_SAVE_LOCATION}/heartbeat | tr -d ' \\n'"


@dataclass
class Gap:
    """The longest time from one good answer to the next, in seconds, and how many there were."""

    longest: float = 0.0
    answers: int = 0
    bad: int = 0


@dataclass
class Pair:
    """The running cluster."""

    live: LiveCluster
    urls: list[str] = field(init=False)

    def __post_init__(self) -> None:
        cluster = load(self.live.name)
        assert cluster is not None
        self.cluster = cluster
        self.urls = cluster.base_urls
        self.path = f"/slurm/{lookup(cluster.slurm_version).release.newest_api}/diag"

    def in_charge(self, asked: str = "ctl2") -> str:
        """Who wrote the last heartbeat, where that is not older than a few seconds; otherwise an empty string."""
        raw = bytes.fromhex(self.live.ssh(asked, READ_HEARTBEAT, check=False).strip())
        if len(raw) < 16:
            return ""
        written, index = struct.unpack(">QQ", raw[:16])
        return CONTROLLERS[index] if time.time() - written < 40 else ""

    def ping(self, asked: str) -> str:
        """What ``scontrol ping`` says, within some seconds."""
        return self.live.ssh(asked, "timeout 20 scontrol ping", check=False)

    def wait(self, leader: str, *, silent: str = "") -> None:
        """Wait until this controller is in charge and answers, and all others but the silent one stand by."""
        deadline = time.monotonic() + PATIENCE
        asked = next(name for name in CONTROLLERS if name != silent)
        while True:
            said = self.ping(asked)
            up = {name for name in CONTROLLERS if f"at {name} is UP" in said}
            if self.in_charge(asked) == leader and up == {*CONTROLLERS} - {silent} and self.answers():
                return
            assert time.monotonic() < deadline, f"{leader} is not in charge after {PATIENCE:g} s: {said}"
            self._follow_remedy(leader)
            time.sleep(0.5)

    def wait_in_charge(self, leader: str) -> None:
        """Wait until this controller writes the heartbeat, whatever it answers to whom."""
        deadline = time.monotonic() + PATIENCE
        while self.in_charge() != leader or f"at {leader} is UP" not in self.ping(leader):
            assert time.monotonic() < deadline, f"{leader} is not in charge after {PATIENCE:g} s"
            self._follow_remedy(leader)
            time.sleep(0.5)

    def _follow_remedy(self, name: str) -> None:
        """Start a slurmctld again that missed a file which the other one was writing (docs/controllers.md)."""
        if self.live.ssh(name, LACKS, check=False).strip():
            say(f"{name} missed a file of the state, and is started again")
            self.start(name)

    def answers(self) -> bool:
        """Whether REST answers well now."""
        return self._ask(5.0)

    def kill(self, name: str) -> None:
        """Kill slurmctld there."""
        self.live.ssh(name, "systemctl kill -s KILL slurmctld; while pgrep -x slurmctld >/dev/null; do sleep 0.1; done")

    def start(self, name: str) -> None:
        """Start it again."""
        self.live.ssh(name, "systemctl reset-failed slurmctld; systemctl start slurmctld")

    def inside(self, name: str, script: str) -> None:
        """Run a shell script on a node without SSH."""
        engine = engine_of(self.cluster, Progress(quiet=True))
        engine.execute(self.cluster.node(name).container, "sh", "-c", script)

    def know_names(self) -> None:
        """Have each node know the others by a hosts file: names of an engine go with their container."""
        nodes = [node.name for node in self.cluster.nodes]
        lines = [f"{self.live.ssh(name, 'hostname -I').split()[0]} {name} {_NAMES}" for name in nodes]
        for name in nodes:
            self.live.ssh(name, f"printf '%s\\n' {' '.join(map(repr, lines))} >> /etc/hosts")

    def power_off(self, name: str) -> None:
        """Have a node gone at once, with everything on it."""
        engine_of(self.cluster, Progress(quiet=True)).call("kill", self.cluster.node(name).container)

    def power_on(self, name: str) -> None:
        """Boot it again, perhaps at another address: what the others' hosts files said is forgotten."""
        for node in self.cluster.nodes:
            if node.name != name:
                self.live.ssh(node.name, f"grep -v '{_NAMES}' /etc/hosts > /run/hosts; cat /run/hosts > /etc/hosts")
        engine_of(self.cluster, Progress(quiet=True)).call("start", self.cluster.node(name).container)
        refresh(self.cluster, Progress(quiet=True))  # on other ports perhaps
        wait_for_ssh(self.cluster, self.cluster.node(name))

    def options(self, seconds: int) -> dict[str, Any]:
        """What the inventory says of slurm.conf, with another SlurmctldTimeout."""
        said: dict[str, Any] = self.live.inventory()["all"]["vars"]["slurm_conf_options"]
        return {**said, "SlurmctldTimeout": seconds}

    def away(self, name: str) -> float:
        """Seconds of the last restart of slurmctld there, from the order to stop until systemd called it active."""
        said = self.live.ssh(name, f"{AWAY} slurmctld")
        began, ended = (int(said.split(f"{word}=")[1].split()[0]) for word in TIMES)
        return (ended - began) / 1e6

    def takes_over_after(self, seconds: int) -> None:
        """Have another SlurmctldTimeout in force, in whoever stands by too: it reads the file when it starts."""
        for node in self.cluster.nodes:
            edit = f"sed -i 's/^SlurmctldTimeout=.*/SlurmctldTimeout={seconds}/' /etc/slurm/slurm.conf"
            self.live.ssh(node.name, edit)
        self.live.ssh("ctl2", "systemctl restart slurmctld")
        self.live.ssh("ctl1", "systemctl restart slurmctld")
        self.wait("ctl1")

    @contextmanager
    def gap(self) -> Iterator[Gap]:
        """Ask without a pause, as a client does that holds a good token; the measurement is complete at the end."""
        found, ended = Gap(), threading.Event()

        def ask() -> None:
            last = time.monotonic()
            while not ended.is_set():
                good = self._ask(120.0)
                now = time.monotonic()
                found.answers += good
                found.bad += not good
                if good:
                    found.longest, last = max(found.longest, now - last), now
                time.sleep(PAUSE)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield found
        finally:
            ended.set()
            thread.join()

    def _ask(self, timeout: float) -> bool:
        lines = tokens.header_file(self.cluster, "root").read_text(encoding="ascii").splitlines()
        headers = dict(line.split(": ", 1) for line in lines)
        try:
            answer = request(Target.parse(self.urls[0]), "GET", self.path, headers=headers, timeout=timeout)
        except ClientError:
            return False
        return answer.status == 200 and json.loads(answer.body)["errors"] == []

    def processes(self, *names: str) -> dict[str, int]:
        """When each daemon of these hosts, or of all, was started: microseconds since boot, by host and unit."""
        units = ("slurmctld", "slurmdbd", "slurmrestd")
        return {
            f"{node.name} {unit}": int(self.live.ssh(node.name, STARTED.format(unit)))
            for node, unit in itertools.product(self.cluster.nodes, units)
            if unit in node.roles and (not names or node.name in names)
        }

    def renew(self) -> None:
        """Have tokens of the key that is in force now."""
        for user in tokens.USERS:
            tokens.renew(engine_of(self.cluster, Progress(quiet=True)), self.cluster, user)


@contextmanager
def pair(release: str, name: str | None = None) -> Iterator[Pair]:
    """Start one, or take the one of this name that runs."""
    if name:
        yield Pair(LiveCluster(name, release))
        return
    with live_cluster("real-ha", release, "--layout", "ha") as live:
        yield Pair(live)


def say(words: str) -> None:
    """Show a line to whoever watches the tests (pytest --capture=no)."""
    sys.stdout.write(f"\n{words}\n")


def causes(output: str) -> list[tuple[str, str]]:
    """What the doctor names, and on which host."""
    return [(match[1], match[2]) for match in _CAUSE.finditer(output)]


def table(output: str) -> dict[str, str]:
    """Outcome and detail of each check of the first REST host, by its id."""
    lines = [line for line in output.splitlines() if re.match(r"  (?:ok|FAILED|skipped) ", line)]
    return {line.split()[1]: " ".join(line.split()) for line in reversed(lines)}


def timed(cluster: Pair, playbook: str) -> tuple[float, Play]:
    """Run one and return its seconds with it."""
    begin = time.monotonic()
    play = cluster.live.playbook(playbook)
    return time.monotonic() - begin, play
