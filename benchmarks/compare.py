"""Ours, the same by hand, and the daemons' own start, in turns: what disturbs one of them disturbs all."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from slurmrest.slurm.releases import lookup

from benchmarks import commands
from benchmarks.commands import OURS, SINGLE, SPLIT
from benchmarks.results import ROOT, rounds
from slurmrest_toolkit.clusters.state import CLUSTER_LABEL, STATE_LABEL
from slurmrest_toolkit.containers.engine import REST_PORT, EngineError
from slurmrest_toolkit.images import base, packages, recipes
from slurmrest_toolkit.nodes import start as nodes
from slurmrest_toolkit.support.locks import state_directory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.results import Record
    from slurmrest_toolkit.containers.engine import Engine

HAND = "bench-hand"
NOTHING = Path(__file__).with_name("nothing.yml")
STALE = "/etc/apt/apt.conf.d/99-bench"
BOOTED = ("running", "degraded")
VERIFICATION = "verify | Ask slurmrestd over every listener"


def start(engine: Engine, records: Mapping[str, Record], count: int, deadline: float) -> None:
    """Measure warm starts, and the second deployment of one host."""
    try:
        for _ in rounds(count, deadline):
            for release, record in records.items():
                record.listen()
                warm_single(engine, release, record)
                by_hand_with_packages(engine, release, record)
                commands.down(engine)
                record.add("warm up, split, 5 containers", warm_up(release, *SPLIT)[0])
                commands.down(engine)
        finish(records)
    finally:
        clean(engine)


def first(engine: Engine, records: Mapping[str, Record], count: int, deadline: float) -> None:
    """Measure the first deployment, with packages from the network."""
    try:
        for _ in rounds(count, deadline):
            for release, record in records.items():
                record.listen()
                commands.down(engine)
                commands.up(release, "--bare")
                nothing = commands.play(str(NOTHING))
                record.add("floor: ansible-playbook with 24 modules that do nothing", nothing.seconds)
                profile = commands.play("cluster.yml", "deploy.yml")
                record.add("first cluster.yml and deploy.yml, packages from the network", profile.seconds)
                record.keep("tasks", profile.tasks)
                commands.down(engine)
                seconds = by_hand(engine, base.suite_name(release), release)[1]
                record.add("by hand, packages from the network", seconds)
        finish(records)
    finally:
        clean(engine)


def finish(records: Mapping[str, Record]) -> None:
    """Say of all records that nothing is missing."""
    for record in records.values():
        record.finish()


def warm_single(engine: Engine, release: str, record: Record) -> None:
    """Measure a start from warm images and what is done with the cluster then."""
    commands.down(engine)
    seconds, phases = warm_up(release)
    record.add("warm up", seconds)
    record.add("warm up: without the job check", seconds - phases["job"])
    record.add("warm up: container start to both diags", phases["nodes"] + phases["daemons"])
    record.keep("phases", [*record.data.get("phases", []), phases])
    on_running(engine, release, record)
    commands.down(engine)


def deploy(engine: Engine, records: Mapping[str, Record], count: int, deadline: float) -> None:
    """Measure what start does with a cluster, on one that runs already, and leave it.

    Raises:
        MeasurementError: there is none of this release.
    """
    for release, record in records.items():
        if not commands.described().slurm_version.startswith(f"{release}."):
            raise commands.MeasurementError(f"The cluster {OURS} that runs is not of {release}: choose with --slurm.")
        for _ in rounds(count, deadline):
            record.listen()
            on_running(engine, release, record)
        record.finish()


def on_running(engine: Engine, release: str, record: Record) -> None:
    """Measure what is done with a cluster that runs."""
    version = hand_arguments(release)[0]
    floor = engine.execute(f"slurmrest-{OURS}-node1", "sh", "-s", version, text=commands.script("floor.sh"))
    record.add("floor: the daemons' own start", float(floor))
    profile = commands.second_deployment()
    record.add("second deploy.yml, single node", profile.seconds)
    record.add("second deploy.yml: processor time of the controller", profile.controller)
    record.add("second deploy.yml: processor time of the node", profile.nodes)
    record.add("second deploy.yml: the verification in it", profile.of(VERIFICATION))
    record.keep("tasks", profile.tasks)
    profile = commands.play("verify.yml")
    record.add("verify.yml without a job", profile.seconds)
    record.add("verify.yml: processor time of both", profile.controller + profile.nodes)


def warm_up(release: str, *words: str) -> tuple[float, dict[str, float]]:
    """Start a cluster from warm images; returns the seconds of the command, and those of its phases.

    Raises:
        MeasurementError: it was no warm start, because the clone changed in the meantime.
    """
    seconds = commands.up(release, *words)
    phases = commands.described().timings
    if "deploy" in phases:
        raise commands.MeasurementError("This clone changed while it was measured: up was not warm. Start anew.")
    return seconds, phases


def by_hand_with_packages(engine: Engine, release: str, record: Record) -> None:
    """Measure the script on a container that has the packages."""
    name = packages.installed_name(recipes.Image(base.suite_name(release), release), SINGLE, ROOT)
    whole, alone = by_hand(engine, name, release)
    record.add("by hand, packages there: container start to both diags", whole)
    record.add("by hand, packages there: the script alone", alone)


def hand_arguments(release: str) -> list[str]:
    """Return the arguments of by_hand.sh for a release."""
    row = lookup(f"{release}.99").release
    return [row.newest_api, row.slurmd_cgroup_plugin_in_containers or "-"]


def by_hand(engine: Engine, image: str, release: str) -> tuple[float, float]:
    """Do the quick start by hand on a container of its own.

    Returns:
        The seconds from the start of the container, and those of the script alone.

    Raises:
        EngineError: the container does not boot, or the script fails.
    """
    container = f"slurmrest-{HAND}-node1"
    remove_by_hand(engine)
    begin = time.monotonic()
    engine.boot(
        image,
        name=container,
        hostname="node1",
        network="podman" if engine.name == "podman" else "bridge",
        ports=(REST_PORT,),
        labels={CLUSTER_LABEL: HAND, STATE_LABEL: str(state_directory())},
    )
    # Early in the boot --wait does not wait; a MariaDB that is restarted while it starts never ends.
    while engine.run("exec", container, "systemctl", "is-system-running", "--wait").stdout.strip() not in BOOTED:
        if time.monotonic() - begin > nodes.START_SECONDS:
            raise EngineError(f"{container} does not boot")
        time.sleep(nodes.POLL_SECONDS)
    # As up --allow-stale-mirror does it for ours.
    engine.execute(container, "sh", "-c", f"echo 'Acquire::Check-Valid-Until \"false\";' >{STALE}")
    ready = time.monotonic()
    engine.execute(container, "sh", "-s", *hand_arguments(release), text=commands.script("by_hand.sh"))
    end = time.monotonic()
    engine.remove_containers([container])
    return end - begin, end - ready


def remove_by_hand(engine: Engine) -> None:
    """Remove the container of an interrupted run."""
    engine.remove_containers([entry.name for entry in engine.containers(f"{CLUSTER_LABEL}={HAND}")])


def clean(engine: Engine) -> None:
    """Remove what is left after the last measurement or an interruption."""
    commands.down(engine)
    remove_by_hand(engine)
