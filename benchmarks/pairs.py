"""The same things done from this checkout and from another one, in turns: what ours cost as against theirs."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import commands, modules
from benchmarks.commands import SPLIT, MeasurementError
from benchmarks.compare import NOTHING
from benchmarks.results import ROOT, rounds
from slurmrest_toolkit.clusters.state import cluster_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.results import Record
    from slurmrest_toolkit.containers.engine import Engine

ENVIRONMENT = 'SLURMREST_ROOT=$0; . "$0/scripts/lib/bootstrap.sh"; slurmrest_venv run'
"""Prints the Python of a checkout's own environment, whatever its version of this project is."""

SECOND_RUN = json.dumps({"modules": 2})
"""How many modules a second deploy.yml runs on its host: one looks, one asks slurmrestd."""

_CHANGED = re.compile(r"\bchanged=(\d+)")


@dataclass(frozen=True)
class Side:
    """A checkout, and the cluster that it starts and deploys to."""

    root: Path
    cluster: str

    def up(self, release: str, *words: str) -> float:
        """Start the cluster; returns the seconds of the command."""
        return commands.up(release, *words, name=self.cluster, root=self.root)

    def phases(self) -> dict[str, float]:
        """Return the seconds of the phases of its start."""
        text = (cluster_directory(self.cluster) / "cluster.json").read_text(encoding="utf-8")
        return dict(json.loads(text)["timings"])

    def play(self, playbook: str, *words: str) -> int:
        """Run a playbook of the checkout, or any by its path, as an administrator does; returns how much it changed.

        Raises:
            MeasurementError: it failed, with its last lines.
        """
        python = subprocess.run(["sh", "-c", ENVIRONMENT, str(self.root)], capture_output=True, text=True, check=True)
        inventory = str(cluster_directory(self.cluster) / "inventory" / "hosts.yml")
        done = subprocess.run(
            [python.stdout.strip(), "-P", "-m", "ansible", "playbook", "-i", inventory, playbook, *words],
            cwd=self.root,
            env={**os.environ, "ANSIBLE_CONFIG": str(self.root / "ansible.cfg"), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise MeasurementError(f"{playbook} of {self.root} failed:\n{done.stdout[-2000:]}")
        return sum(map(int, _CHANGED.findall(done.stdout)))


def measure(engine: Engine, records: Mapping[str, Record], count: int, deadline: float, *, against: Path) -> None:
    """Measure both checkouts in turns, each with a cluster of its own: who goes first changes from round to round.

    Raises:
        MeasurementError: a start or a playbook failed, or a second deployment changed something.
    """
    sides = [Side(ROOT, "bench-ours"), Side(against.resolve(), "bench-theirs")]
    try:
        for release, record in records.items():
            for side in sides:  # the images that are missing
                for words in (SPLIT, ()):
                    commands.down(engine, side.cluster)
                    side.up(release, *words)
            roots = {"ours": sides[0].root, "theirs": sides[1].root}
            record.keep("modules", modules.costs(engine, f"slurmrest-{sides[0].cluster}-node1", roots))
        for number in rounds(count, deadline):
            for release, record in records.items():
                record.listen()
                found = [dict(costs(engine, side, release)) for side in (sides if number % 2 == 0 else sides[::-1])]
                ours, theirs = found if number % 2 == 0 else found[::-1]
                for name, value in ours.items():
                    record.pair(name, value, theirs[name])
        for record in records.values():
            record.finish()
    finally:
        commands.down(engine, *(side.cluster for side in sides))


def costs(engine: Engine, side: Side, release: str) -> Iterator[tuple[str, float]]:
    """Yield what a checkout takes, in seconds: warm starts, and playbooks on the cluster of one node."""
    commands.down(engine, side.cluster)
    yield from start(engine, side, release, "warm up")
    yield from playbooks(engine, side)
    commands.down(engine, side.cluster)
    yield from start(engine, side, release, "warm up, split, 5 containers", *SPLIT)
    commands.down(engine, side.cluster)


def playbooks(engine: Engine, side: Side) -> Iterator[tuple[str, float]]:
    """Yield what a second deploy.yml and verify.yml take on a cluster that stands.

    Raises:
        MeasurementError: one of them changed something.
    """
    for what, *words in (
        ("second deploy.yml", "playbooks/deploy.yml"),
        ("floor of it: as many modules that do nothing", str(NOTHING), "--extra-vars", SECOND_RUN),
        ("verify.yml", "playbooks/verify.yml"),
    ):
        before = commands.now(commands.accounts(engine, side.cluster))
        changed = side.play(*words)
        spent = commands.now(commands.accounts(engine, side.cluster)) - before
        if changed:
            raise MeasurementError(f"{what} of {side.root} changed {changed} things.")
        yield what, spent.seconds
        yield f"{what}: processor time of both", spent.controller + spent.nodes
        yield f"{what}: processor time of the controller", spent.controller
        yield f"{what}: processor time of the node", spent.nodes


def start(engine: Engine, side: Side, release: str, what: str, *words: str) -> Iterator[tuple[str, float]]:
    """Yield what a warm start takes.

    Raises:
        MeasurementError: it was none.
    """
    before = commands.now([])
    seconds = side.up(release, *words)
    spent = commands.now(commands.accounts(engine, side.cluster)) - before
    phases = side.phases()
    if "deploy" in phases:
        raise MeasurementError(f"{side.root} changed while it was measured: up was not warm. Start anew.")
    yield what, seconds
    yield f"{what}: without the jobs", seconds - phases["job"]
    yield f"{what}: processor time of both", spent.controller + spent.nodes
