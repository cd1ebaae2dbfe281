"""Measurements, alternating within each round, so that what else runs on this machine hits all of them alike."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmrest.releases import lookup

from testcluster import cluster as clusters
from testcluster import images, nodes, warm
from testcluster.engine import REST_PORT, EngineError
from testcluster.locks import state_directory
from testcluster.state import CLUSTER_LABEL, STATE_LABEL, cluster_directory, load, plan_nodes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testcluster.engine import Engine
    from testcluster.progress import Progress

ROOT = Path(__file__).resolve().parent.parent
OURS, HAND = "bench", "bench-hand"
SINGLE = ["slurmctld", "slurmdbd", "slurmrestd", "slurmd"]
BUSY_LOAD = 1.0
"""A load average above this before the first measurement means that somebody else uses the processors."""

SCRIPTS = {name: (Path(__file__).with_name(name)).read_text(encoding="utf-8") for name in ("by_hand.sh", "floor.sh")}


class Recorder:
    """Collects seconds under names: each measurement of each round, with the load average before it."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.samples: dict[str, list[float]] = {}
        self.loads: list[float] = []

    def add(self, release: str, name: str, seconds: float) -> None:
        """Keep a measurement in seconds."""
        self.samples.setdefault(f"{release} {name}", []).append(round(seconds, 3))
        self.loads.append(os.getloadavg()[0])
        self.progress.say(f"{release} {name}: {seconds:.2f} s (load {self.loads[-1]:.1f})")


def slurmrest(*words: str) -> float:
    """Run the command of this clone as a user does, and return the seconds that it took.

    Raises:
        SystemExit: it failed, with its words.
    """
    begin = time.monotonic()
    done = subprocess.run([str(ROOT / "scripts/slurmrest"), *words], capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    if done.returncode:
        raise SystemExit(f"slurmrest {' '.join(words)} failed:\n{done.stderr}")
    return seconds


def up(release: str, *words: str, name: str = OURS) -> float:
    """Start a cluster."""
    return slurmrest("cluster", "up", "--name", name, "--slurm", release, "--allow-stale-mirror", *words)


def down(name: str = OURS) -> None:
    """Remove a cluster where there is one."""
    subprocess.run([str(ROOT / "scripts/slurmrest"), "cluster", "down", name], capture_output=True, check=False)


def playbook(*words: str, name: str = OURS) -> float:
    """Run playbooks (and further arguments of ansible-playbook) against a cluster and return the seconds.

    Raises:
        SystemExit: they failed, with the last lines.
    """
    inventory = cluster_directory(name) / "inventory" / "hosts.yml"
    argv = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory)]
    argv += [str(ROOT / "playbooks" / word) if word.endswith(".yml") else word for word in words]
    begin = time.monotonic()
    done = subprocess.run(
        argv,
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stdout[-3000:]}")
    return time.monotonic() - begin


def warm_timings() -> dict[str, float]:
    """Return the seconds of each phase of our cluster's start.

    Raises:
        SystemExit: it was no warm one, because the clone changed in the meantime.
    """
    made = load(OURS)
    if made is None or "deploy" in made.timings:
        raise SystemExit("This clone changed while it was measured: up was not warm. Start anew.")
    return made.timings


def hand_arguments(release: str) -> list[str]:
    """Return the arguments of by_hand.sh for a release."""
    row = lookup(f"{release}.99").release
    return [row.newest_api, row.slurmd_cgroup_plugin_in_containers or "-"]


def by_hand(engine: Engine, image: str, release: str) -> tuple[float, float]:
    """Do the quick start by hand on a container of its own.

    Returns:
        The seconds from the start of the container, and those of the script alone.
    """
    container = f"slurmrest-{HAND}-node1"
    engine.remove_containers([entry.name for entry in engine.containers(f"{CLUSTER_LABEL}={HAND}")])
    begin = time.monotonic()
    engine.boot(
        image,
        name=container,
        hostname="node1",
        network="podman" if engine.name == "podman" else "bridge",
        ports=(REST_PORT,),
        labels={CLUSTER_LABEL: HAND, STATE_LABEL: str(state_directory())},
    )
    while engine.run("exec", container, "systemctl", "is-system-running", "--wait").returncode > 1:
        if time.monotonic() - begin > nodes.START_SECONDS:
            raise EngineError(f"{container} does not boot")
        time.sleep(nodes.POLL_SECONDS)
    ready = time.monotonic()
    engine.execute(container, "sh", "-s", *hand_arguments(release), text=SCRIPTS["by_hand.sh"])
    end = time.monotonic()
    engine.remove_containers([container])
    return end - begin, end - ready


def one_round(engine: Engine, release: str, kept: Recorder) -> None:
    """Measure once what can be measured without the network."""
    base = images.Image(images.suite_name(release), release)
    packages = images.installed_name(base, SINGLE, ROOT)
    down()
    kept.add(release, "warm up", up(release))
    phases = warm_timings()
    kept.add(release, "warm up: container start to both diags", phases["nodes"] + phases["daemons"])
    kept.add(release, "warm up: without the job check", sum(phases.values()) - phases["job"])
    floor = engine.execute(f"slurmrest-{OURS}-node1", "sh", "-s", hand_arguments(release)[0], text=SCRIPTS["floor.sh"])
    kept.add(release, "floor: the daemons' own start", float(floor))
    kept.add(release, "second deploy.yml, 1 host", playbook("deploy.yml"))
    kept.add(release, "verify.yml without a job", playbook("verify.yml"))
    down()
    if engine.image_labels(packages) is not None:
        whole, script = by_hand(engine, packages, release)
        kept.add(release, "by hand, packages there: container start to both diags", whole)
        kept.add(release, "by hand, packages there: the script alone", script)
    kept.add(release, "warm up, split, 5 hosts", up(release, "--layout", "split", "--nodes", "2"))
    kept.add(release, "second deploy.yml, 5 hosts", playbook("deploy.yml"))
    down()


def from_network(engine: Engine, release: str, kept: Recorder) -> None:
    """Measure the first deployment with packages from the network, ours and by hand."""
    down()
    up(release, "--bare")
    kept.add(
        release, "first cluster.yml and deploy.yml, packages from the network", playbook("cluster.yml", "deploy.yml")
    )
    down()
    kept.add(release, "by hand, packages from the network", by_hand(engine, images.suite_name(release), release)[1])


def sizes(engine: Engine, release: str) -> dict[str, Any]:
    """Measure memory of an idle cluster, images, and what carrying the images costs; a warm cluster can be started."""
    up(release)
    time.sleep(10)
    text = engine.execute(f"slurmrest-{OURS}-node1", "sh", "-c", "cat /proc/[0-9]*/status 2>/dev/null; true")
    resident = sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS:"))
    down()
    wanted = warm.recipe(images.suite_name(release), "single", 1, ROOT)
    image = int(engine.call("image", "inspect", "--format={{.Size}}", wanted.image(plan_nodes(OURS, "single", 1)[0])))
    base = int(engine.call("image", "inspect", "--format={{.Size}}", images.suite_name(release)))
    with tempfile.TemporaryDirectory(dir=state_directory()) as folder:
        archive = Path(folder) / "cache"
        save = slurmrest("cluster", "cache", "save", "--slurm", release, str(archive))
        size = archive.stat().st_size
        load_again = slurmrest("cluster", "cache", "load", str(archive))
    return {
        "idle single node, resident memory of all processes": f"{resident / 1024:.0f} MiB",
        "base image": f"{base / 1e6:.0f} MB",
        "warm image, single": f"{image / 1e6:.0f} MB",
        "cache file, single": f"{size / 1e6:.0f} MB, saved in {save:.1f} s, loaded in {load_again:.1f} s",
    }


def machine(engine: Engine) -> dict[str, str]:
    """Describe this machine and what is measured."""
    models = [line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if "model name" in line]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "processors": f"{os.cpu_count()}, {models[0].partition(':')[2].strip() if models else platform.machine()}",
        "memory": f"{memory:.0f} GiB",
        "kernel": platform.release(),
        "engine": engine.call("--version").strip(),
        "Python": platform.python_version(),
        "commit": commit.stdout.strip(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def everything(releases: Sequence[str], rounds: int, progress: Progress, *, network: bool) -> dict[str, Any]:
    """Measure all there is to measure.

    Args:
        releases: Slurm series.
        rounds: how often.
        progress: told each measurement.
        network: include what downloads packages.

    Returns:
        Samples in seconds by name, sizes, and the machine: what ``results.json`` holds.
    """
    engine = clusters.engine_of(None, progress)
    before = os.getloadavg()[0]
    kept = Recorder(progress)
    try:
        for release in releases:  # everything below starts from warm images
            for words in ((), ("--layout", "split", "--nodes", "2")):
                down()
                up(release, *words)
        for number in range(rounds):
            for release in releases:
                progress.say(f"round {number + 1} of {rounds}, {release}")
                one_round(engine, release, kept)
                if network and number == 0:
                    from_network(engine, release, kept)
        measured = {release: sizes(engine, release) for release in releases}
    finally:
        down()
        engine.remove_containers([entry.name for entry in engine.containers(f"{CLUSTER_LABEL}={HAND}")])
    return {
        "machine": machine(engine),
        "rounds": rounds,
        "load_before": before,
        "load_median": sorted(kept.loads)[len(kept.loads) // 2],
        "busy": before > BUSY_LOAD,
        "seconds": kept.samples,
        "sizes": measured,
    }
