"""What the daemons of a cluster logged."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from slurmrest_toolkit.clusters.state import write_private
from slurmrest_toolkit.support.locks import state_directory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slurmrest_toolkit.clusters.state import Cluster, Node
    from slurmrest_toolkit.containers.engine import Engine
    from slurmrest_toolkit.support.progress import Progress

UNITS = ("munge", "mariadb", "slurmdbd", "slurmctld", "slurmd", "slurmrestd")
JOURNAL_LINES = 12
_TROUBLE = re.compile(r"error|fatal|fail|refus|denied|cannot|unable", re.IGNORECASE)


def failure_directory(name: str) -> Path:
    """Where the logs of the last failed ``up`` of this name are kept until the next one."""
    return state_directory() / "failed" / name


def journal(engine: Engine, node: Node, units: Sequence[str], *, since: float | None = None) -> str:
    """Return what some units of a node wrote to the journal (since a second of the epoch), or an empty string."""
    options = ["--no-pager", "--quiet", "--output=short-iso", *(f"--unit={unit}" for unit in units)]
    if since is not None:
        options.append(f"--since=@{since:.6f}")
    return engine.run("exec", node.container, "journalctl", *options).stdout


def show_journals(engine: Engine, cluster: Cluster, names: Sequence[str], progress: Progress) -> None:
    """Save the journal of Slurm's units on each node, and show the troubles in it for the nodes named."""
    for node in cluster.nodes:
        text = journal(engine, node, UNITS)
        write_private(cluster.directory / "logs" / f"{node.name}.journal", text)
        lines = [line for line in text.splitlines() if _TROUBLE.search(line)]
        if node.name in names and lines:
            progress.say(f"troubles in the journal of {node.name}:")
            progress.quote(lines[-JOURNAL_LINES:])
