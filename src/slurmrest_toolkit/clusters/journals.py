"""What the daemons of a cluster logged."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from slurmrest.errors import InputError

from slurmrest_toolkit.clusters.state import write_private
from slurmrest_toolkit.containers.engine import EngineError
from slurmrest_toolkit.support import sudo
from slurmrest_toolkit.support.locks import FAILED, state_directory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slurmrest_toolkit.clusters.state import Cluster, Node
    from slurmrest_toolkit.containers.engine import Engine
    from slurmrest_toolkit.support.progress import Progress

UNITS = ("munge", "mariadb", "slurmdbd", "slurmctld", "slurmd", "slurmrestd")
JOURNAL_LINES = 12
_TROUBLE = re.compile(r"error|fatal|fail|refus|denied|cannot|unable", re.IGNORECASE)


def failure_directory(name: str) -> Path:
    """Where the logs of the last failed ``up`` of this name are kept until the next one."""
    return state_directory() / FAILED / name


def check(engine: Engine, nodes: Sequence[Node], units: Sequence[str], since: str | None) -> None:
    """Refuse what journalctl would answer with nothing.

    Raises:
        InputError: none of the nodes has such a unit, or the time is none.
    """
    for unit in units:
        asked = (engine.run("exec", node.container, "systemctl", "cat", "--", unit) for node in nodes)
        if all(done.returncode for done in asked):
            raise InputError("--unit", unit, f"a unit of these nodes, such as {', '.join(UNITS)}")
    if since is not None:
        done = engine.run("exec", nodes[0].container, "journalctl", "--quiet", "--lines=0", f"--since={since}")
        if done.returncode:
            raise InputError("--since", since, "a time as journalctl takes it: '10 min ago', today, @SECONDS")


def keep(cluster: Cluster, texts: Mapping[str, str], directory: Path) -> list[str]:
    """Write journals into a directory, by the node's name, with the logs of the cluster's start; returns all its files.

    They are their owner's alone, and take the place of a link: in a directory of others it could lead anywhere.

    Raises:
        InputError: it cannot be written.
    """
    try:
        new = not directory.exists()
        directory.mkdir(parents=True, exist_ok=True)
        kept = [directory / f"{name}.journal" for name in texts]
        for file, text in zip(kept, texts.values(), strict=True):
            write_private(file, text)
        for log in sorted((cluster.directory / "logs").glob("*.log")):
            kept.append(directory / log.name)
            write_private(kept[-1], log.read_text(encoding="utf-8", errors="replace"))
        for made in [directory] if new else kept:
            sudo.hand_over(made)
    except OSError as error:
        raise InputError("--output", str(directory), "a directory that can be written", error.strerror) from None
    return sorted(file.name for file in directory.iterdir())


def journal(engine: Engine, node: Node, units: Sequence[str], *, since: float | str | None = None) -> str:
    """Return what some units of a node wrote to the journal, or an empty string.

    ``since`` is a second of the epoch, or a time as journalctl takes it.

    Raises:
        EngineError: the node does not run.
    """
    options = ["--no-pager", "--quiet", "--output=short-iso", *(f"--unit={unit}" for unit in units)]
    if since is not None:
        options.append(f"--since={since}" if isinstance(since, str) else f"--since=@{since:.6f}")
    return engine.call("exec", node.container, "journalctl", *options)


def show_journals(engine: Engine, cluster: Cluster, names: Sequence[str], progress: Progress) -> None:
    """Save the journal of Slurm's units on each node, and show the troubles in it for the nodes named."""
    for node in cluster.nodes:
        try:
            text = journal(engine, node, UNITS)
        except EngineError:  # it never came, which is said already
            continue
        write_private(cluster.directory / "logs" / f"{node.name}.journal", text)
        lines = [line for line in text.splitlines() if _TROUBLE.search(line)]
        if node.name in names and lines:
            progress.say(f"troubles in the journal of {node.name}:")
            progress.quote(lines[-JOURNAL_LINES:])
