"""Remove clusters, whatever state they are in, and judge what is left of earlier ones."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slurmrest.errors import SlurmrestError

from slurmrest_toolkit.clusters.journals import failure_directory, show_journals
from slurmrest_toolkit.clusters.liveness import engine_of, owned, require_account
from slurmrest_toolkit.clusters.state import CLUSTER_LABEL, STATE_LABEL, cluster_directory, cluster_names, load
from slurmrest_toolkit.support.errors import CannotRunError, NoEngineError
from slurmrest_toolkit.support.locks import CLUSTERS, state_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slurmrest_toolkit.clusters.state import Cluster
    from slurmrest_toolkit.containers.engine import Engine
    from slurmrest_toolkit.support.progress import Progress


def down(names: Sequence[str], progress: Progress) -> None:
    """Remove clusters, complete or not; one that cannot be removed does not keep the others.

    Raises:
        CannotRunError: another process is working on one of them, it is somebody else's, or there is no trace of it.
        SlurmrestError: its engine does not remove it.
    """
    failed: list[SlurmrestError] = []
    for name in names:
        try:
            down_one(name, progress)
        except SlurmrestError as error:
            failed.append(error)
    for earlier in failed[:-1]:
        progress.say(str(earlier))
    if failed:
        raise failed[-1]


def down_one(name: str, progress: Progress) -> None:
    """Remove one cluster."""
    with owned(name):
        recorded = cluster_directory(name).exists()
        unknown = f"There is no cluster called {name} (there: {', '.join(cluster_names()) or 'none'})."
        try:
            engine = engine_of(readable(name), progress)
        except NoEngineError as error:
            raise error if recorded else CannotRunError(unknown) from None
        there = Remains.of(engine, name)
        if not recorded:
            there.require_ours()
            if not there:
                raise CannotRunError(unknown)
        remove(there)
        shutil.rmtree(failure_directory(name), ignore_errors=True)
        progress.say(f"removed {name}")


def readable(name: str) -> Cluster | None:
    """Return what is remembered of a cluster; None also where that cannot be read, which does not keep its remains."""
    try:
        return load(name)
    except CannotRunError:
        return None


@dataclass(frozen=True)
class Remains:
    """What an engine has under a cluster's name: of ours or of nobody, and ``others``, whose it is besides.

    ``running`` is whether a container of ours runs.
    """

    engine: Engine
    name: str
    containers: tuple[str, ...]
    networks: tuple[str, ...]
    volumes: tuple[str, ...]
    others: frozenset[str]
    running: bool

    @classmethod
    def of(cls, engine: Engine, name: str) -> Remains:
        """Ask the engine."""
        label = f"{CLUSTER_LABEL}={name}"
        nodes = {one.name: one for one in engine.containers(label)}
        owners = (
            {one.name: one.labels.get(STATE_LABEL, "") for one in nodes.values()},
            {one: engine.labelled("network", one, STATE_LABEL) for one in engine.networks(label)},
            {one: engine.labelled("volume", one, STATE_LABEL) for one in engine.volumes(label)},
        )
        others = frozenset(one for kind in owners for one in kind.values() if is_anothers(one, name))
        containers, networks, volumes = (
            tuple(one for one, owner in kind.items() if owner not in others) for kind in owners
        )
        running = any(nodes[one].running for one in containers)
        return cls(engine, name, containers, networks, volumes, others, running)

    def __bool__(self) -> bool:
        return bool(self.containers or self.networks or self.volumes)

    def require_ours(self) -> None:
        """Refuse a name that is another's.

        Raises:
            CannotRunError: another state directory has a cluster of it.
        """
        if self.others:
            whose = ", ".join(sorted(self.others))
            raise CannotRunError(
                f"Another state directory has a cluster called {self.name}: {whose}.", "Use another --name."
            )


def is_anothers(directory: str, name: str) -> bool:
    """Whether another state directory remembers a cluster of this name; one that cannot be looked into does."""
    if directory in {"", str(state_directory())}:
        return False
    try:
        Path(directory, CLUSTERS, name, "cluster.json").stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def remove(there: Remains) -> None:
    """Remove a cluster's containers, network, volume and files, whatever state they are in; never another's."""
    there.engine.remove_containers(there.containers)
    for network in there.networks:
        there.engine.call("network", "rm", network)
    for volume in there.volumes:
        there.engine.remove_volume(volume)
    shutil.rmtree(cluster_directory(there.name), ignore_errors=True)


def make_room(engine: Engine, name: str, progress: Progress) -> None:
    """Remove what is left of an earlier cluster of this name.

    Raises:
        CannotRunError: it is alive, here or for another state directory or account.
    """
    known = load(name)
    if known is not None:
        require_account(known)
    there = Remains.of(engine, name)
    there.require_ours()
    if known is not None and known.ready and there.running:
        raise CannotRunError(
            f"The cluster {name} exists.", f"Use another --name, or remove it: slurmrest cluster down {name}"
        )
    shutil.rmtree(failure_directory(name), ignore_errors=True)
    if known is not None or there:
        progress.say(f"removing what is left of an earlier cluster {name}")
        remove(there)


def give_up(engine: Engine, cluster: Cluster, error: BaseException, progress: Progress, *, keep: bool) -> None:
    """Show why a cluster could not be started, save its logs, and remove it unless it is to be kept.

    Whatever goes wrong here is said and not raised: why it could not be started is what counts.
    """
    interrupted = isinstance(error, KeyboardInterrupt)
    if not interrupted:
        with said(progress):
            show_journals(engine, cluster, getattr(error, "hosts", [node.name for node in cluster.nodes]), progress)
    if keep:
        progress.say(f"kept as it is: {cluster.directory}; remove it with: slurmrest cluster down {cluster.name}")
        return
    logs = cluster.directory / "logs"
    if logs.is_dir() and not interrupted:
        target = failure_directory(cluster.name)
        with said(progress):
            shutil.copytree(logs, target, dirs_exist_ok=True)
            progress.say(f"logs: {target}")
    progress.say(f"removing {cluster.name}")
    with said(progress):
        remove(Remains.of(engine, cluster.name))


@contextlib.contextmanager
def said(progress: Progress) -> Iterator[None]:
    """Say what goes wrong on the way out of a failure, and go on."""
    try:
        yield
    except (SlurmrestError, OSError) as error:
        progress.say(str(error))
