"""The deployed service under load: clients in the REST node, over TCP and the UNIX socket, with several settings."""

from __future__ import annotations

import itertools
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmrest.rest import payloads
from slurmrest.slurm.api_versions import api_version
from slurmrest.slurm.releases import lookup

from benchmarks import commands
from slurmrest_toolkit.clusters import tokens
from slurmrest_toolkit.nodes import inventory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.results import Record
    from slurmrest_toolkit.clusters.state import Cluster
    from slurmrest_toolkit.containers.engine import Engine

VENDOR = {"slurmrestd_service_threads": 0, "slurmrestd_service_max_connections": 0}
THREADS = (2, 4, 8, 16, 32)
"""Numbers that the choice of a default is made among."""

ADDRESSES = {"TCP": "127.0.0.1:6820", "UNIX": f"unix:{inventory.SOCKET}"}
CLIENTS = (1, 16, 100)
SECONDS = 2.0
JOBS = 2000
"""Jobs in the queue, each a record of its own, as an array's tasks would not be."""

QUEUES = {0: ("diag",), JOBS: ("diag", "jobs")}
"""Jobs in the queue, and what is asked for then: a list of no jobs is no different from statistics."""

LEFT_OUT = {("jobs", "UNIX", 100)}
"""A hundred lists of thousands of jobs keep the daemon busy for minutes, over one address as over the other."""

SUBMITTERS = 4
SETTLE_SECONDS = 120.0

CLIENT = Path(__file__).with_name("load_client.py")
PEAK = """
pid=$(systemctl show --property=MainPID --value slurmrestd)
sed -n 's/^VmHWM:[^0-9]*\\([0-9]*\\).*/\\1/p' "/proc/$pid/status"
echo 5 >"/proc/$pid/clear_refs"
"""
"""Prints the most KiB that were resident since it was asked last (proc(5))."""


def measure(engine: Engine, records: Mapping[str, Record], _count: int, _deadline: float) -> None:
    """Measure our defaults, and the vendor's where they differ, with an empty queue and then with thousands of jobs."""
    for release, record in records.items():
        fixed = lookup(f"{release}.99").release.default_threads is not None
        settings = {"ours": {}, "the vendor's": VENDOR} if fixed else {"ours, the vendor's": {}}
        with service(engine, release, record) as bench:
            for jobs, paths in QUEUES.items():
                bench.fill(jobs)
                for setting, variables in settings.items():
                    commands.play("deploy.yml", arguments=["--extra-vars", json.dumps(variables)])
                    for over, path, clients in itertools.product(ADDRESSES, paths, CLIENTS):
                        if (path, over, clients) not in LEFT_OUT:
                            bench.row(setting, path, over, clients)


def choose(engine: Engine, records: Mapping[str, Record], _count: int, _deadline: float) -> None:
    """Measure numbers of threads, which a default is chosen by."""
    for release, record in records.items():
        with service(engine, release, record) as bench:
            bench.fill(JOBS)
            for threads in THREADS:
                variables = {"slurmrestd_service_threads": threads}
                commands.play("deploy.yml", arguments=["--extra-vars", json.dumps(variables)])
                for path, clients in (("diag", 16), ("diag", 100), ("jobs", 16)):
                    bench.row(f"{threads} threads", path, "TCP", clients)


@contextmanager
def service(engine: Engine, release: str, record: Record, *words: str) -> Iterator[Service]:
    """Start a single node (``words`` are for ``up``) whose partition starts no job, and remove it afterwards."""
    record.listen()
    commands.down(engine)
    commands.up(release, *words)
    try:
        found = Service(engine, record, commands.described())
        engine.execute(found.node, "sh", "-c", "cat >/run/load_client.py", text=CLIENT.read_text(encoding="utf-8"))
        engine.execute(found.node, "scontrol", "update", "PartitionName=main", "State=DOWN")
        yield found
        record.finish()
    finally:
        commands.down(engine)


@dataclass
class Service:
    """A slurmrestd under load, and where the rows of the measurement go."""

    engine: Engine
    record: Record
    cluster: Cluster
    jobs: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def node(self) -> str:
        """The container."""
        return self.cluster.rest_node.container

    @property
    def version(self) -> str:
        """The newest API version that the release serves."""
        return lookup(self.cluster.slurm_version).release.newest_api

    def token(self, user: str) -> str:
        """Return a token of a user; one for all questions."""
        if user not in self.tokens:
            self.tokens[user] = tokens.mint(self.engine, self.cluster, user, tokens.KEPT_LIFESPAN).reveal()
        return self.tokens[user]

    def client(
        self, address: str, path: str, user: str, *more: object, body: str = "", words: str = ""
    ) -> dict[str, Any]:
        """Run the clients (see load_client.py) and return what they print.

        Args:
            address: where they ask.
            path: what they ask, behind the version of the API.
            user: as whom.
            more: number of clients, seconds, and options.
            body: of the requests.
            words: tokens that they take in turns; by default the user's one.
        """
        arguments = (address, f"/slurm/{self.version}/{path}", *map(str, more))
        text = f"{user}\n{words or self.token(user)}\n{body}\n"
        found: dict[str, Any] = json.loads(
            self.engine.execute(self.node, "python3", "/run/load_client.py", *arguments, text=text)
        )
        return found

    def fill(self, jobs: int) -> None:
        """Bring the number of jobs in the queue up to ``jobs``, over REST, as the ordinary user."""
        if jobs > self.jobs:
            api = api_version(self.version)
            job = payloads.job_submission(
                api, name="waiting", script="#!/bin/sh\n", directory="/", environment={"PATH": "/bin"}
            )
            missing = jobs - self.jobs
            limits = (SUBMITTERS, SETTLE_SECONDS, "--most", missing)
            found = self.client(ADDRESSES["TCP"], "job/submit", inventory.ORDINARY_USER, *limits, body=json.dumps(job))
            if found["requests"] < missing:
                raise commands.MeasurementError(f"Of {missing} jobs {found['requests']} were taken: {found['kinds']}")
            self.record.add(f"submit {missing} jobs over REST, {SUBMITTERS} clients", found["seconds"])
        self.jobs = jobs

    def row(self, setting: str, path: str, over: str, clients: int) -> None:
        """Measure once, and wait until the daemon is idle again: it goes on with what its clients gave up."""
        self.engine.execute(self.node, "sh", "-c", PEAK)
        found = self.client(ADDRESSES[over], path, tokens.ADMINISTRATOR, clients, SECONDS)
        self.settle()
        peak = int(self.engine.execute(self.node, "sh", "-c", PEAK)) // 1024
        row = {"setting": setting, "jobs": self.jobs, "path": path, "over": over, "clients": clients, **found}
        self.rows.append({**row, "peak_mib": peak})
        self.record.keep("rows", self.rows)
        self.record.say(f"{setting}, {self.jobs} jobs, {path} over {over}, {clients} clients: {json.dumps(found)}")

    def settle(self) -> None:
        """Return when a client is answered at once again.

        Raises:
            MeasurementError: it is not within two minutes.
        """
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            found = self.client(ADDRESSES["UNIX"], "diag", tokens.ADMINISTRATOR, 1, 0.05)
            if found["requests"] and not found["failures"]:
                return
        raise commands.MeasurementError("slurmrestd does not settle after the load.")
