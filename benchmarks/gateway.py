"""A gateway beside the daemon alone: the same clients in the REST node, through TLS and past it, in one run."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import commands, load
from benchmarks.load import PEAK, Service
from benchmarks.results import rounds
from slurmrest_toolkit.clusters import tokens
from slurmrest_toolkit.nodes import inventory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.results import Record
    from slurmrest_toolkit.containers.engine import Engine

ALONE, GATEWAY = "alone", "gateway"
SIDES = (ALONE, GATEWAY)
AUTHORITY = f"{inventory.GATEWAY_DIRECTORY}/authority.pem"
ADDRESSES = {ALONE: load.ADDRESSES["TCP"], GATEWAY: "localhost:443"}
URLS = {ALONE: f"http://{load.ADDRESSES['TCP']}", GATEWAY: "https://127.0.0.1:443"}
TLS: Mapping[str, tuple[object, ...]] = {ALONE: (), GATEWAY: ("--cacert", AUTHORITY)}

UNLIMITED = {"slurmrest_gateway_rate": 100_000, "slurmrest_gateway_burst": 100_000}
"""One user's clients here ask more often than those of any user; all else is as by default."""

USERS = (tokens.ADMINISTRATOR, inventory.ORDINARY_USER)
FEW, MANY = 1000, 2000
CLIENTS, CROWD, READERS, IMPATIENT = 16, 200, 12, 6
SECONDS = 3
SHORT_ROUNDS = 4
"""How much more often what takes a second is measured."""

DAEMONS = ("nginx", "slurmrestd", "slurmctld")
LISTS_SECONDS, READING_SECONDS = 15.0, 6.0
IMPATIENT_SECONDS, GIVEN_UP = 4.0, 0.3
PATIENCE = 180.0
LIST, STATISTICS = "REQUEST_JOB_INFO", "REQUEST_STATS_INFO"

# Without the index of packages that images do not keep; one of an old snapshot is past its date.
WRK = "apt-get -qq -o Acquire::Check-Valid-Until=false update && apt-get -qq -y --no-install-recommends install wrk"

START = """
systemctl stop nginx
begin=$(date +%s%N)
systemctl start nginx
until curl -sf -o /dev/null --cacert "$1" -H @/run/load_headers "https://localhost:443$2"; do sleep 0.01; done
echo $(($(date +%s%N) - begin))
"""
"""Prints the nanoseconds from the start of nginx to the first good answer."""

SCRIPT = Path(__file__).with_name("load.lua")


def starts(engine: Engine, records: Mapping[str, Record], count: int, deadline: float) -> None:
    """Measure warm starts of clusters without and with a gateway in turns."""
    for left, (release, record) in zip(range(len(records), 0, -1), records.items(), strict=True):
        now = time.monotonic()
        for _ in rounds(count, now + (deadline - now) / left):
            record.listen()
            for name, words in {"without": (), "with": commands.GATEWAY}.items():
                commands.down(engine)
                record.add(f"cluster up, warm, {name} a gateway", commands.up(release, *words))
        commands.down(engine)
        record.finish()


def measure(engine: Engine, records: Mapping[str, Record], count: int, _deadline: float) -> None:
    """Measure one cluster under load, through its gateway and past it."""
    for release, record in records.items():
        with load.service(engine, release, record, *commands.GATEWAY) as service:
            commands.play("gateway.yml", arguments=["--extra-vars", json.dumps(UNLIMITED)])
            engine.execute(service.node, "sh", "-c", f"{WRK} >/dev/null 2>&1")
            engine.execute(service.node, "sh", "-c", "cat >/run/load.lua", text=SCRIPT.read_text(encoding="utf-8"))
            Trial(service, count).run()


@dataclass
class Trial:
    """One cluster under load: ``found`` has for each measurement and side a list of results, one of each round."""

    service: Service
    count: int
    found: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)

    def run(self) -> None:
        """Measure all, with more and more jobs in the queue; what keeps the daemon busy for long comes last."""
        self.start()
        for _ in range(self.count * SHORT_ROUNDS):
            for side in SIDES:
                self.short("uncached", side, CLIENTS, 1, fresh=True)
        self.service.record.listen()
        for name, clients in (("diag", CLIENTS), ("crowd", CROWD)):
            for side in SIDES:
                self.short(name, side, clients)
        self.service.fill(FEW)
        for side in reversed(SIDES):
            worked = self.worked()
            result = self.ask(side, "jobs", CLIENTS, LISTS_SECONDS)
            self.service.settle()
            self.keep("jobs", side, {**result, "worked": round(self.worked() - worked, 3)})
        for side in reversed(SIDES):
            self.beside_readers(side)
        self.service.fill(MANY)
        for side in reversed(SIDES):
            self.impatience(side)
        for name, side, clients in (("memory", GATEWAY, CROWD), ("one", ALONE, 1), ("memory", ALONE, CROWD)):
            self.memory(name, side, clients)
        self.service.record.listen()
        self.service.record.finish()

    def start(self) -> None:
        """Measure nginx from its start to the first good answer."""
        self.headers()
        words = ("sh", "-c", START, "start", AUTHORITY, f"/slurm/{self.service.version}/diag")
        for _ in range(self.count):
            nanoseconds = int(self.service.engine.execute(self.service.node, *words))
            self.service.record.add("start of a gateway to its first 200", nanoseconds / 1e9)

    def short(self, name: str, side: str, clients: int, seconds: int = SECONDS, *, fresh: bool = False) -> None:
        """Measure statistics, which are short answers, with clients that cost little themselves.

        What processors worked for it in nginx, slurmrestd and slurmctld is kept, too: others on the machine do not
        change that much.
        """
        self.headers(fresh=fresh)
        url = f"{URLS[side]}/slurm/{self.service.version}/diag"
        words = ("wrk", "-t2", f"-c{clients}", f"-d{seconds}s", "--timeout", "60s", "-s", "/run/load.lua", url)
        before, worked = self.requests(STATISTICS), self.worked()
        result = json.loads(self.service.engine.execute(self.service.node, *words).splitlines()[-1])
        worked, reached = self.worked() - worked, self.requests(STATISTICS) - before
        # Asking for their number is one more of them.
        self.keep(name, side, {**result, "reached": reached - 1, "worked": round(worked, 3)})
        self.service.settle()

    def beside_readers(self, side: str) -> None:
        """Measure pings beside clients of two users that read lists of jobs, each with a token of its own."""
        lists = [(user, self.several(user, READERS // len(USERS))) for user in USERS]
        with ThreadPoolExecutor() as pool:
            readers = [
                pool.submit(self.ask, side, "jobs", READERS // len(USERS), READING_SECONDS, user=user, words=words)
                for user, words in lists
            ]
            time.sleep(1.0)
            pings = self.ask(side, "ping", 1, READING_SECONDS - 2.0, "--fresh")
            read = sum(reader.result()["requests"] for reader in readers)
        self.keep("ping", side, {**pings, "lists": read})
        self.service.settle()

    def several(self, user: str, count: int) -> str:
        """Return so many tokens of a user; those of one moment differ in their end alone."""
        engine, cluster = self.service.engine, self.service.cluster
        made = [tokens.mint(engine, cluster, user, tokens.KEPT_LIFESPAN + number) for number in range(count)]
        return " ".join(token.reveal() for token in made)

    def impatience(self, side: str) -> None:
        """Measure clients that give up long lists and ask again, and how long the next one waits for a ping."""
        self.restart()
        before = self.requests(LIST)
        result = self.ask(side, "jobs", IMPATIENT, IMPATIENT_SECONDS, "--patience", GIVEN_UP)
        after = self.ask(side, "ping", 1, PATIENCE, "--most", 1, "--fresh")
        self.service.settle()
        self.keep("impatient", side, {**result, "reached": self.requests(LIST) - before, "ping": after["p50"]})

    def memory(self, name: str, side: str, clients: int) -> None:
        """Measure the most memory of a daemon that has just begun; each client asks for the list at least once."""
        self.restart()
        before = self.requests(LIST)
        result = self.ask(side, "jobs", clients, SECONDS)
        peak = int(self.service.engine.execute(self.service.node, "sh", "-c", PEAK)) // 1024
        self.keep(name, side, {**result, "reached": self.requests(LIST) - before, "peak_mib": peak})

    def restart(self) -> None:
        """Have a daemon without memory of what was asked before, and without requests that nobody waits for."""
        self.service.engine.execute(self.service.node, "systemctl", "restart", "slurmrestd")
        self.service.settle()

    def headers(self, *, fresh: bool = False) -> None:
        """Have a file of the administrator's headers in the node, for what takes none as standard input."""
        user = tokens.ADMINISTRATOR
        lines = [f"X-SLURM-USER-NAME: {user}", f"X-SLURM-USER-TOKEN: {self.service.token(user)}"]
        text = "\n".join([*lines, *(["Cache-Control: no-cache"] if fresh else []), ""])
        self.service.engine.execute(self.service.node, "sh", "-c", "umask 077; cat >/run/load_headers", text=text)

    def ask(
        self, side: str, path: str, *more: object, user: str = tokens.ADMINISTRATOR, words: str = ""
    ) -> dict[str, Any]:
        """Run clients of one side (see ``Service.client``), which wait long where they are not told otherwise."""
        patience = () if "--patience" in more else ("--patience", PATIENCE)
        return self.service.client(ADDRESSES[side], path, user, *more, *patience, *TLS[side], words=words)

    def worked(self) -> float:
        """Return the seconds that processors have worked for what answers, as systemd counts them."""
        shown = self.service.engine.execute(
            self.service.node, "systemctl", "show", "--property=CPUUsageNSec", "--value", *DAEMONS
        )
        return sum(int(word) for word in shown.split()) / 1e9

    def requests(self, kind: str) -> int:
        """Return how many requests of a kind have reached slurmctld."""
        shown = self.service.engine.execute(self.service.node, "sdiag")
        match = re.search(rf"{kind}\s+\(\s*\d+\)\s+count:(\d+)", shown)
        return int(match[1]) if match else 0

    def keep(self, name: str, side: str, result: dict[str, Any]) -> None:
        """Keep a result."""
        self.found.setdefault(name, {}).setdefault(side, []).append(result)
        self.service.record.keep("found", self.found)
        self.service.record.say(f"{name}, {side}: {json.dumps(result)}")
