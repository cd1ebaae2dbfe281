"""How much memory slurmrestd takes for a large list of jobs: python -m tests.real.sandbox.memory RELEASE [JOBS…].

Fills the queue of a test cluster with jobs that are records of their own, has one client and then several ask for all
of them, and keeps the most that was ever resident in docs/data/security.json, of which docs/security.md is made.
MemoryMax= of the unit is chosen by it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from slurmrest.auth.jwt import Key, claims_for, encode
from slurmrest.rest import payloads
from slurmrest.slurm.api_versions import api_version

from benchmarks.load import CLIENT, PEAK
from slurmrest_toolkit.clusters.state import load
from tests.real.clusters import LiveCluster, live_cluster
from tests.real.sandbox.test_sandbox import RECORDED

NODE = "node1"
KEY = "/var/lib/slurm/jwt/jwt_hs256.key"
JOBS = (1000, 5000)
CLIENTS = (1, 4, 16)
MOST = 20_000
"""Jobs that all clients together get at most: 16 times 5000 would take all memory of a usual machine."""

UNBOUNDED = "/run/systemd/system/slurmrestd.service.d/90-measured.conf"


@dataclass
class Service:
    """A daemon under measurement."""

    live: LiveCluster

    def __post_init__(self) -> None:
        cluster = load(self.live.name)
        assert cluster is not None
        self.api = cluster.api_versions[-1]
        self.key = Key(self.live.fetch(NODE, f"cat {KEY}"))
        self.live.ssh(NODE, f"cat > /run/load_client.py <<'END'\n{CLIENT.read_text()}\nEND")
        self.live.ssh(
            NODE, f"mkdir -p {UNBOUNDED.rpartition('/')[0]}; printf '[Service]\\nMemoryMax=\\n' > {UNBOUNDED}"
        )
        self.live.ssh(NODE, "systemctl daemon-reload; scontrol update PartitionName=main State=DOWN")

    def ask(self, path: str, user: str, clients: int, requests: int, body: str = "") -> dict[str, Any]:
        """Have so many clients make so many requests together."""
        token = encode(claims_for(user, 3600), self.key).reveal()
        said = self.live.ssh(
            NODE,
            f"python3 /run/load_client.py 127.0.0.1:6820 /slurm/{self.api}/{path} {clients} 600 {requests} <<'END'\n"
            f"{user}\n{token}\n{body}\nEND",
        )
        found: dict[str, Any] = json.loads(said)
        assert found["requests"] >= requests, found
        return found

    def fill(self, jobs: int) -> None:
        """Submit jobs that wait."""
        job = payloads.job_submission(
            api_version(self.api),
            name="waiting",
            script="#!/bin/sh\n",
            directory="/",
            environment={"PATH": "/bin"},
        )
        self.ask("job/submit", "alice", 4, jobs, json.dumps(job))

    def peak(self, clients: int) -> int:
        """MiB that were resident at most while so many clients each had the list once, on a new daemon."""
        self.live.ssh(NODE, "systemctl restart slurmrestd")
        self.live.ssh(NODE, "for i in $(seq 100); do ss -ltn | grep -q :6820 && exit 0; sleep 0.1; done; exit 1")
        self.live.ssh(NODE, PEAK)
        self.ask("jobs", "root", clients, clients)
        return int(self.live.ssh(NODE, PEAK)) // 1024


def main(argv: list[str]) -> int:
    """Measure one release and keep the rows."""
    release, wanted = argv[0], [int(word) for word in argv[1:]] or [*JOBS]
    rows = []
    with live_cluster("real-memory", release) as live:
        service = Service(live)
        filled = 0
        for jobs in wanted:
            service.fill(jobs - filled)
            filled = jobs
            size = int(service.live.ssh(NODE, answer_size(service)).strip())
            for clients in (number for number in CLIENTS if number * jobs <= MOST):
                rows.append({"jobs": jobs, "clients": clients, "answer": size, "peak_mib": service.peak(clients)})
                sys.stdout.write(f"{json.dumps(rows[-1])}\n")
                sys.stdout.flush()
    known: dict[str, Any] = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    known.setdefault("memory", {})[release] = rows
    RECORDED.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    return 0


def answer_size(service: Service) -> str:
    """A command that prints the bytes of the whole list."""
    token = encode(claims_for("root", 600), service.key).reveal()
    header = f"X-SLURM-USER-NAME: root\nX-SLURM-USER-TOKEN: {token}"
    return f"curl -s -H @- http://127.0.0.1:6820/slurm/{service.api}/jobs <<'END' | wc -c\n{header}\nEND"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
