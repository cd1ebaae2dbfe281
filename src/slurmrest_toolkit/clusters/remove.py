"""Remove clusters, whatever state they are in, and judge what is left of earlier ones."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from slurmrest_toolkit.clusters.journals import failure_directory, show_journals
from slurmrest_toolkit.clusters.liveness import engine_of, owned
from slurmrest_toolkit.clusters.state import CLUSTER_LABEL, STATE_LABEL, cluster_directory, cluster_names, load
from slurmrest_toolkit.containers.engine import EngineError
from slurmrest_toolkit.support.errors import CannotRunError, NoEngineError
from slurmrest_toolkit.support.locks import state_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmrest_toolkit.clusters.state import Cluster
    from slurmrest_toolkit.containers.engine import Container, Engine
    from slurmrest_toolkit.support.progress import Progress


def down(names: Sequence[str], progress: Progress) -> None:
    """Remove clusters, complete or not.

    Raises:
        CannotRunError: another process is working on one of them, or there is no trace of it.
    """
    for name in names:
        with owned(name):
            recorded = cluster_directory(name).exists()
            unknown = f"There is no cluster called {name} (there: {', '.join(cluster_names()) or 'none'})."
            try:
                engine = engine_of(load(name), progress)
            except NoEngineError as error:
                raise error if recorded else CannotRunError(unknown) from None
            if not recorded and not engine.containers(f"{CLUSTER_LABEL}={name}") and not left(engine, name):
                raise CannotRunError(unknown)
            remove(engine, name)
            shutil.rmtree(failure_directory(name), ignore_errors=True)
            progress.say(f"removed {name}")


def remove(engine: Engine, name: str) -> None:
    """Remove a cluster's containers, network, volume and files, whatever state they are in."""
    label = f"{CLUSTER_LABEL}={name}"
    engine.remove_containers([container.name for container in engine.containers(label)])
    for network in engine.networks(label):
        engine.call("network", "rm", network)
    for volume in engine.volumes(label):
        engine.remove_volume(volume)
    shutil.rmtree(cluster_directory(name), ignore_errors=True)


def make_room(engine: Engine, name: str, progress: Progress) -> None:
    """Remove what is left of an earlier cluster of this name.

    Raises:
        CannotRunError: it is alive, here or for another state directory.
    """
    containers = engine.containers(f"{CLUSTER_LABEL}={name}")
    found = judge(load(name), containers, state_directory())
    if found == "ours":
        raise CannotRunError(
            f"The cluster {name} exists.", f"Use another --name, or remove it: slurmrest cluster down {name}"
        )
    if found == "foreign":
        raise CannotRunError(f"Another state directory has a cluster called {name}.", "Use another --name.")
    shutil.rmtree(failure_directory(name), ignore_errors=True)
    if found == "leftovers" or left(engine, name):
        progress.say(f"removing what is left of an earlier cluster {name}")
        remove(engine, name)


def left(engine: Engine, name: str) -> list[str]:
    """Return what a cluster has besides containers: its networks and volumes."""
    label = f"{CLUSTER_LABEL}={name}"
    return [*engine.networks(label), *engine.volumes(label)]


def judge(known: Cluster | None, containers: Sequence[Container], state: Path) -> str:
    """Say what is there under a cluster's name: ``nothing``, ``leftovers``, ``ours`` (alive) or ``foreign`` (alive).

    Args:
        known: what our state directory says.
        containers: the engine's containers of that name.
        state: our state directory.
    """
    alive = [container for container in containers if container.running]
    if any(container.labels.get(STATE_LABEL) != str(state) for container in alive) and any(
        Path(
            container.labels.get(STATE_LABEL, ""), "clusters", container.labels[CLUSTER_LABEL], "cluster.json"
        ).exists()
        for container in alive
    ):
        return "foreign"
    if known is not None and known.ready and alive:
        return "ours"
    return "leftovers" if known is not None or containers else "nothing"


def give_up(engine: Engine, cluster: Cluster, error: BaseException, progress: Progress, *, keep: bool) -> None:
    """Show why a cluster could not be started, save its logs, and remove it unless it is to be kept."""
    if not isinstance(error, KeyboardInterrupt):
        with contextlib.suppress(EngineError):
            show_journals(engine, cluster, getattr(error, "hosts", [node.name for node in cluster.nodes]), progress)
    if keep:
        progress.say(f"kept as it is: {cluster.directory}; remove it with: slurmrest cluster down {cluster.name}")
        return
    logs = cluster.directory / "logs"
    if logs.is_dir() and not isinstance(error, KeyboardInterrupt):
        target = failure_directory(cluster.name)
        shutil.copytree(logs, target, dirs_exist_ok=True)
        progress.say(f"logs: {target}")
    progress.say(f"removing {cluster.name}")
    remove(engine, cluster.name)
