"""Which Debian suite carries which Slurm series: data for users of the test cluster, not for the roles."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from slurmrest.errors import InputError
from slurmrest.slurm.version import Version

from slurmrest_toolkit.support.errors import CannotRunError, ClusterFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SUITES = {"22.05": "bookworm", "24.11": "trixie", "26.05": "forky"}
"""Slurm series to the suite that was seen to carry it; each suite is asked before anything is built."""

DEFAULT_SERIES = "24.11"

_CANDIDATE = re.compile(r"^Inst slurmrestd \((?P<version>[^ )]+)", re.MULTILINE)
_EXPIRED = re.compile(r"Release file for (?P<file>\S+) is expired")


def suite_of(series: str) -> str:
    """Return the suite that carries a Slurm series.

    Raises:
        InputError: no suite in the table carries it.
    """
    try:
        return SUITES[series]
    except KeyError:
        raise InputError("--slurm", series, ", ".join(SUITES)) from None


def offered_version(simulation: str, suite: str) -> str:
    """Read the version of slurmrestd that a suite offers from apt's simulated installation.

    Raises:
        CannotRunError: the suite has none, or its package index is out of date.
    """
    refuse_expired(simulation, suite)
    match = _CANDIDATE.search(simulation)
    if match is None:
        errors = [line for line in simulation.splitlines() if line.startswith(("E:", "W:"))]
        raise CannotRunError(f"The suite {suite} could not be asked for its Slurm: {last_words(errors)}")
    return match["version"]


@contextlib.contextmanager
def asking(suite: str) -> Iterator[None]:
    """Have nodes ask the mirror; where a base image was there, they are the first who do.

    Raises:
        CannotRunError: what failed says that the index is out of date.
    """
    try:
        yield
    except ClusterFailedError as error:
        refuse_expired(str(error), suite)
        raise


def refuse_expired(said: str, suite: str) -> None:
    """Say in our words what apt says of an index that is too old.

    Raises:
        CannotRunError: it says so.
    """
    expired = _EXPIRED.search(said)
    if expired:
        raise CannotRunError(
            f"The package mirror lags behind: the index of {suite} is past its Valid-Until date ({expired['file']}).",
            "Wait for the mirror, or accept the old index with --allow-stale-mirror.",
        )


def check_series(version: str, series: str, origin: str) -> None:
    """Refuse another Slurm series than the one asked for.

    Args:
        version: what is offered or installed.
        series: what was asked for.
        origin: who offers it, with the verb, such as ``forky has moved on to``.

    Raises:
        CannotRunError: they differ.
    """
    if Version.parse(version).series != series:
        raise CannotRunError(
            f"Slurm {series} was asked for, but {origin} {version}.",
            f"Series of the suites: {', '.join(f'{key} ({suite})' for key, suite in SUITES.items())}.",
        )


def last_words(lines: Sequence[str]) -> str:
    """Return the last few of some lines, for an error message."""
    return "; ".join(lines[-3:]) or "it has no package slurmrestd"
