"""The deployed service under load: clients in the REST node, over TCP and the UNIX socket, with several settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmrest.releases import lookup

from benchmarks import measure
from testcluster import cluster as clusters
from testcluster import inventory, tokens
from testcluster.state import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testcluster.progress import Progress

CLIENTS = {"diag": (1, 16, 100), "jobs": (1, 16)}
"""Numbers of clients for each path; the list of all jobs takes so long that more of them only run into time-outs."""

ADDRESSES = ("127.0.0.1:6820", f"unix:{inventory.SOCKET}")
SETTINGS = {
    "vendor's defaults": {},
    "4 threads": {"slurmrestd_service_threads": 4},
    "20 threads": {"slurmrestd_service_threads": 20},
    "20 threads, 1024 connections": {
        "slurmrestd_service_threads": 20,
        "slurmrestd_service_max_connections": 1024,
    },
}
SECONDS = 5.0
JOBS = 1000
"""Jobs in the queue that may not begin before tomorrow; each a record of its own, as an array's tasks would not be."""

CLIENT = Path(__file__).with_name("load_client.py")
QUEUE = f"cd /tmp && seq {JOBS} | xargs -P 8 -I @ sbatch -Q -J @ -b tomorrow -o /dev/null --wrap true"


def everything(releases: Sequence[str], progress: Progress, *, quick: bool) -> list[dict[str, Any]]:
    """Measure all combinations for each release, on a single-node cluster that is removed afterwards.

    Returns:
        One row a measurement: release, setting, jobs, path, address, clients, and what load_client.py prints.
    """
    rows = []
    for release in releases:
        measure.down()
        measure.up(release)
        try:
            for setting, variables in SETTINGS.items():
                if "max_connections" in str(variables) and not lookup(f"{release}.99").release.max_connections_flag:
                    continue
                measure.playbook("deploy.yml", "--extra-vars", json.dumps(variables))
                rows += under_load(release, setting, progress, quick=quick)
        finally:
            measure.down()
    return rows


def under_load(release: str, setting: str, progress: Progress, *, quick: bool) -> list[dict[str, Any]]:
    """Measure one setting with all clients, paths and addresses."""
    cluster = load(measure.OURS)
    assert cluster is not None
    engine = clusters.engine_of(cluster, progress)
    node = cluster.rest_node.container
    engine.execute(node, "sh", "-c", "cat >/run/load_client.py", text=CLIENT.read_text(encoding="utf-8"))
    token = tokens.mint(engine, cluster, tokens.ADMINISTRATOR, tokens.KEPT_LIFESPAN)
    if not engine.execute(node, "squeue", "--noheader").strip():
        engine.execute(node, "runuser", "-u", inventory.ORDINARY_USER, "--", "sh", "-c", QUEUE)
    version = lookup(cluster.slurm_version).release.newest_api
    rows = []

    def run(address: str, path: str, clients: int, seconds: float) -> str:
        words = (address, f"/slurm/{version}/{path}", str(clients), str(seconds))
        return engine.execute(node, "python3", "/run/load_client.py", *words, text=f"{token.reveal()}\n")

    for path, numbers in CLIENTS.items():
        for address in ADDRESSES:
            for clients in numbers[:2] if quick else numbers:
                text = run(address, path, clients, 1 if quick else SECONDS)
                run(address, "diag", 1, 0.1)  # what was given up by its client still occupies a thread
                row = {"release": release, "setting": setting, "path": path, "address": address, "clients": clients}
                rows.append({**row, **json.loads(text)})
                progress.say(f"{release} {setting} {path} {address} {clients}: {text.strip()}")
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the measurements as a Markdown table, a section for each release."""
    lines = []
    for release in dict.fromkeys(row["release"] for row in rows):
        lines += [f"### {release}", "", "| setting | path | over | clients | requests/s | p50 ms | p99 ms | failed |"]
        lines.append("|---|---|---|---|---|---|---|---|")
        for row in rows:
            if row["release"] == release:
                over = "UNIX" if row["address"].startswith("unix:") else "TCP"
                rate = row["requests"] / row["seconds"]
                cells = (row["setting"], row["path"], over, row["clients"], f"{rate:.0f}", row["p50"], row["p99"])
                lines.append(f"| {' | '.join(map(str, cells))} | {row['failures']} |")
        lines.append("")
    return "\n".join(lines)
