"""What all parts do to clusters: with the commands that users have."""

from __future__ import annotations

import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.results import ROOT
from slurmrest_toolkit.ansible_runs import playbooks
from slurmrest_toolkit.clusters import liveness
from slurmrest_toolkit.clusters.layouts import plan_nodes
from slurmrest_toolkit.clusters.state import CLUSTER_LABEL, Cluster, cluster_directory, load
from slurmrest_toolkit.containers.host import cgroup_mode
from slurmrest_toolkit.images import base, packages, recipes, warm
from slurmrest_toolkit.support.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slurmrest_toolkit.containers.engine import Engine

OURS = "bench"
SINGLE = ["slurmctld", "slurmdbd", "slurmrestd", "slurmd"]
SPLIT = ("--layout", "split", "--nodes", "2")
GATEWAY = ("--gateway",)
KINDS: Mapping[tuple[str, ...], tuple[str, int, bool]] = {
    (): ("single", 1, False),
    GATEWAY: ("single", 1, True),
    SPLIT: ("split", 2, False),
}
"""Arguments of ``up``, and the layout, the number of compute nodes, and whether there is a gateway, as they mean."""


class MeasurementError(Exception):
    """Something that is measured did not work."""


def slurmrest(*words: str, root: Path = ROOT) -> float:
    """Run the command of a clone as a user does, and return the seconds that it took.

    Raises:
        MeasurementError: it failed, with its words.
    """
    begin = time.monotonic()
    done = subprocess.run(
        [str(root / "scripts/slurmrest"), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - begin
    if done.returncode:
        raise MeasurementError(f"slurmrest {' '.join(words)} failed:\n{done.stderr}")
    return seconds


def up(release: str, *words: str, name: str = OURS, root: Path = ROOT) -> float:
    """Start a cluster."""
    return slurmrest("cluster", "up", "--name", name, "--slurm", release, "--allow-stale-mirror", *words, root=root)


def down(engine: Engine, *names: str) -> None:
    """Remove clusters where there are any."""
    for name in names or (OURS,):
        if engine.containers(f"{CLUSTER_LABEL}={name}") or cluster_directory(name).exists():
            slurmrest("cluster", "down", name)


def described(name: str = OURS) -> Cluster:
    """Return a cluster that stands."""
    found = load(name)
    if found is None:
        raise MeasurementError(f"There is no cluster {name}.")
    return found


@dataclass(frozen=True)
class Profile:
    """A run of playbooks: its seconds from the command to its end, those of its tasks, and how many changed something.

    ``controller`` and ``nodes`` are the seconds that processors worked for it, here and in the cluster's containers:
    what others do on this machine makes the run longer, and these hardly. ``tasks`` are in their order; a task that
    runs in two plays is there twice.
    """

    seconds: float
    controller: float
    nodes: float
    tasks: Sequence[tuple[str, float]]
    changed: int

    def of(self, name: str) -> float:
        """Return the seconds of a task; where it is left out in one play and done in another, both together."""
        found = [seconds for task, seconds in self.tasks if task == name]
        if not found:
            raise MeasurementError(f"There was no task {name!r}.")
        return sum(found)


def play(*names: str, cluster: str = OURS, arguments: Sequence[str] = ()) -> Profile:
    """Run playbooks against a cluster.

    Raises:
        PlaybookFailedError: a task failed.
        ClusterFailedError: ansible-playbook could not run.
    """
    directory = cluster_directory(cluster)
    counted = accounts(liveness.engine_of(described(cluster), Progress()), cluster)
    begins: list[tuple[str, float]] = []
    before = now(counted)
    done = playbooks.run(
        directory / "inventory" / "hosts.yml",
        names,
        directory / "logs" / "benchmark.log",
        arguments=arguments,
        on_playbook=lambda _: None,
        on_task=lambda name: begins.append((name, time.monotonic())),
    )
    ends = [moment for _, moment in begins[1:]] + [time.monotonic()]
    spent = now(counted) - before
    return Profile(
        spent.seconds,
        spent.controller,
        spent.nodes,
        [(name, until - since) for (name, since), until in zip(begins, ends, strict=True)],
        done.changed,
    )


def accounts(engine: Engine, cluster: str) -> list[Path]:
    """Return the files in which the kernel counts the processor time of a cluster's containers.

    Raises:
        MeasurementError: there is no cgroup v2 tree; its cpu.stat is there without the controller, too.
    """
    mode, tree = cgroup_mode(Path("/proc/self/mounts").read_text(encoding="utf-8"))
    if tree is None:
        raise MeasurementError(f"There is no cgroup v2 tree ({mode}).")
    names = [container.name for container in engine.containers(f"{CLUSTER_LABEL}={cluster}")]
    files = []
    for pid in engine.call("inspect", "--format={{.State.Pid}}", *names).split():
        lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").splitlines()
        path = next(line[3:] for line in lines if line.startswith("0::")).removesuffix("/init.scope")
        files.append(Path(f"{tree}{path}/cpu.stat"))
    return files


@dataclass(frozen=True)
class Moment:
    """What clocks show, in seconds: the time, and the processors' work for what this process ran and for containers."""

    seconds: float
    controller: float
    nodes: float

    def __sub__(self, before: Moment) -> Moment:
        """Return what has passed between two moments."""
        return Moment(self.seconds - before.seconds, self.controller - before.controller, self.nodes - before.nodes)


def now(accounts_of_nodes: Sequence[Path]) -> Moment:
    """Read the clocks; ``accounts_of_nodes`` are those of containers, of which an idle one adds 1 ms/s."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    microseconds = sum(int(file.read_text(encoding="ascii").split()[1]) for file in accounts_of_nodes)
    return Moment(time.monotonic(), used.ru_utime + used.ru_stime, microseconds / 10**6)


def second_deployment(cluster: str = OURS) -> Profile:
    """Run deploy.yml where it has nothing to do.

    Raises:
        MeasurementError: it found something to do.
    """
    profile = play("deploy.yml", cluster=cluster)
    if profile.changed:
        raise MeasurementError(f"The second deploy.yml changed {profile.changed} things on {cluster}.")
    return profile


def prepare(engine: Engine, releases: Sequence[str], kinds: Sequence[tuple[str, ...]], progress: Progress) -> None:
    """Have the images that measurements of some kinds start from; made where they are missing, which takes minutes."""
    for release in releases:
        plain = base.suite_name(release)
        installed = packages.installed_name(recipes.Image(plain, release), SINGLE, ROOT)
        missing: list[tuple[str, ...]] = [] if engine.image_labels(installed) else [("--no-cache",)]
        for words in kinds:
            layout, nodes, gateway = KINDS[words]
            planned = plan_nodes("any", layout, nodes, gateway=gateway)
            if warm.find(engine, warm.recipe(plain, layout, planned, ROOT)) is None:
                missing.append(words)
        for words in missing:
            progress.say(f"{release}: making images, which is not measured ({' '.join(words) or 'single'})")
            down(engine)
            up(release, *words)
    down(engine)


def script(name: str) -> str:
    """Return a script of this folder."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
