"""One cluster for all processes of a test run, and nothing of it left when the last of them has ended, however.

Each process that uses a cluster holds a shared lock on a file of its own name in the state directory; the kernel counts
the holders and forgets those that die. Whoever can have that lock alone is the last, and removes the cluster: the main
process of a run, which outlives its workers, or any later run where all of them were killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
from typing import TYPE_CHECKING

from slurmrest.errors import SlurmrestError

from slurmrest_toolkit import api
from slurmrest_toolkit.clusters.state import cluster_directory
from slurmrest_toolkit.support.errors import CannotRunError
from slurmrest_toolkit.support.locks import LOCKS, PYTEST, hand_over_state, handing_over, locked, state_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from slurmrest_toolkit.api import RunningCluster

USERS, FAILED = ".users", ".failed"


class NotStartedError(CannotRunError):
    """Another process of this run tried to start the cluster, and could not; in its words."""


def directory() -> Path:
    """Where the files of the clusters of test runs are."""
    return state_directory() / PYTEST


def name_of(run: str, series: str, layout: str, nodes: int) -> str:
    """Return what a cluster of a run is called: the same in each of its processes."""
    digest = hashlib.sha256("\0".join((run, series, layout, str(nodes))).encode()).hexdigest()[:10]
    kind = re.sub(r"[^a-z0-9]", "", series.lower())
    return f"pytest-{f'{kind}-' if kind else ''}{digest}"


@contextlib.contextmanager
def shared(
    name: str,
    *,
    slurm: str | None,
    layout: str,
    nodes: int,
    allow_stale_mirror: bool,
    keep: bool,
    leave: bool = False,
) -> Iterator[RunningCluster]:
    """Start a cluster, or take the one that another process of this run has started; the last one removes it.

    Args:
        name: what it is called.
        slurm: the series; the default without one.
        layout: of its nodes.
        nodes: compute nodes of the split layout.
        allow_stale_mirror: accept a package index past its Valid-Until date.
        keep: let it stand after the run.
        leave: do not remove it here, but by :func:`sweep` in a process that lives longer: a worker that has not begun
            yet may be going to need it.

    Raises:
        NotStartedError: another process could not start it.
        SlurmrestError: this one cannot.
    """
    sweep()  # what cannot be removed is told at the end of the run, where it is tried again
    holders = directory() / f"{name}{USERS}"
    failed = holders.with_suffix(FAILED)
    with handing_over(), _starting(name):
        descriptor = os.open(holders, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        try:
            if failed.exists():
                raise NotStartedError(failed.read_text(encoding="utf-8"))
            # Without the verification's job: the tests are the proof, and its images were proven when they were made.
            cluster = _there(name) or api.start(
                name,
                slurm=slurm,
                layout=layout,
                nodes=nodes,
                allow_stale_mirror=allow_stale_mirror,
                verify="quick",
                quiet=False,
            )
        except BaseException as error:
            if not failed.exists():
                failed.write_text(str(error), encoding="utf-8")
            os.close(descriptor)
            raise
    try:
        yield cluster
    finally:
        with handing_over(), _starting(name):
            if keep:
                holders.unlink(missing_ok=True)
            elif not leave:
                _remove_unless_used(name, descriptor)
            os.close(descriptor)


def sweep() -> list[str]:
    """Remove the clusters of test runs whose processes have all ended.

    They may be another run's: what fails with them is returned in words, and fails no test of this one.
    """
    failures: list[str] = []
    for holders in sorted(directory().glob(f"*{USERS}")):
        name = holders.name.removesuffix(USERS)
        try:
            _sweep(name, holders)
        except (SlurmrestError, OSError) as error:
            failures.append(f"{name}: {error}")
    try:
        hand_over_state()
    except OSError as error:
        failures.append(str(error))
    return failures


def _sweep(name: str, holders: Path) -> None:
    """Remove one of them, unless somebody is at work on it."""
    with locked(_lock(name), waiting=None) as held, contextlib.suppress(FileNotFoundError):
        if held:
            descriptor = os.open(holders, os.O_RDWR)
            try:
                _remove_unless_used(name, descriptor)
            finally:
                os.close(descriptor)


def _starting(name: str) -> contextlib.AbstractContextManager[bool]:
    """Hold the lock under which a cluster is started and removed."""
    return locked(_lock(name), waiting=lambda: None)


def _lock(name: str) -> Path:
    """The file of that lock: one for each release, so that few of them stay."""
    return directory() / f"{name.rpartition('-')[0]}.lock"


def _there(name: str) -> RunningCluster | None:
    """Return the cluster where it stands already."""
    try:
        return api.attach(name)
    except CannotRunError:
        return None


def _remove_unless_used(name: str, descriptor: int) -> None:
    """Remove a cluster and its files unless another process holds the lock on them, which this one gives up."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    from slurmrest_toolkit.clusters.remove import down
    from slurmrest_toolkit.support.progress import Progress

    try:
        down([name], Progress(quiet=True))
    except CannotRunError:
        if cluster_directory(name).exists():  # a start of it still ends
            return
    for suffix in (USERS, FAILED):
        (directory() / f"{name}{suffix}").unlink(missing_ok=True)
    (state_directory() / LOCKS / f"{name}.lock").unlink(missing_ok=True)  # no other run has a cluster of this name
