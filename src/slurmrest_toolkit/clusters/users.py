"""Ordinary users of a cluster that stands: an account on every node, an association, a token."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from slurmrest.auth import bearer
from slurmrest.errors import InputError

from slurmrest_toolkit.clusters import logins, tokens
from slurmrest_toolkit.clusters.state import write_private
from slurmrest_toolkit.nodes.start import in_parallel
from slurmrest_toolkit.support.errors import CannotRunError, ClusterFailedError
from slurmrest_toolkit.support.locks import locked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slurmrest_toolkit.clusters.state import Cluster, Node
    from slurmrest_toolkit.containers.engine import Engine

FIRST_UID = 20001
"""The same number on every node; those below belong to the images."""

ACCOUNT = "users"
"""The account of the accounting database that the cluster's first user has, too."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_ALLOWED = "1 to 31 lower-case letters, digits, hyphens and underscores, a letter first; no account of the nodes"

# What belongs to an account goes along: its group, its home, and at the end its jobs.
_MAKE = """
set -eu
while read -r name uid; do
    useradd --uid "$uid" --user-group --create-home --shell /bin/bash "$name"
done
"""
_ENROL = """
unset SLURM_JWT
sacctmgr --immediate --quiet add user "$1" "Account=$2" >&2
for name in $(echo "$1" | tr , ' '); do
    scontrol token "username=$name" "lifespan=$3"
done
"""
_FORGET = """
unset SLURM_JWT
scancel --user="$1" || :
for attempt in 1 2 3 4 5 6 7 8 9 10; do
    [ -n "$(squeue --noheader --user="$1")" ] || break
    sleep 0.3
done
sacctmgr --immediate --quiet delete user "$1" >&2 || :
"""
_REMOVE = 'while read -r name uid; do userdel --remove "$name" || :; done'


def known(cluster: Cluster) -> tuple[str, ...]:
    """Return the names of a cluster's users: those of the images, and those made since."""
    return (*tokens.USERS, *_read(cluster))


def doubt(engine: Engine, cluster: Cluster, name: str) -> str | None:
    """Say that a cluster has no such account, of which Slurm makes a token all the same; None where it has one."""
    there = known(cluster)
    if name in there or engine.run("exec", cluster.controller.container, "id", "-u", "--", name).returncode == 0:
        return None
    return (
        f"{cluster.controller.name} has no account {name} (users: {', '.join(there)}); Slurm makes a token of any "
        f"name. To have the user: slurmrest cluster user add --name {cluster.name} {name}"
    )


def check(names: Sequence[str], taken: Sequence[str]) -> None:
    """Refuse names of users that are none, or are taken.

    Raises:
        InputError: with what is allowed.
    """
    for number, name in enumerate(names):
        there = name in names[:number] or name in taken
        if there or not _NAME.fullmatch(name):
            raise InputError("--user", name, _ALLOWED, "there is one called so" if there else None)


def add(engine: Engine, cluster: Cluster, names: Sequence[str]) -> None:
    """Make ordinary users: accounts with homes on every node, members of :data:`ACCOUNT`, each with a token kept.

    Raises:
        InputError: a name is none, or is taken.
        CannotRunError: the cluster has no Slurm.
        ClusterFailedError: a node or the database refuses.
    """
    check(names, known(cluster))
    if cluster.bare:
        raise CannotRunError(f"The cluster {cluster.name} is bare: it has no Slurm.")
    with locked(_file(cluster).with_suffix(".lock"), waiting=lambda: None):
        there = _read(cluster)
        first = _new_numbers(cluster, there, len(names))
        made = {name: first + number for number, name in enumerate(names)}
        lines = "".join(f"{name} {uid}\n" for name, uid in made.items())
        enrol = ("sh", "-c", _MAKE + _ENROL, "sh", ",".join(names), ACCOUNT, str(tokens.KEPT_LIFESPAN))

        def make(node: Node) -> str:
            command = enrol if node is cluster.controller else ("sh", "-c", _MAKE)
            return engine.execute(node.container, *command, text=lines)

        try:
            answers = in_parallel(make, cluster.nodes)
        except ClusterFailedError:
            in_parallel(
                lambda node: engine.run("exec", "--interactive", node.container, "sh", "-c", _REMOVE, text=lines),
                cluster.nodes,
            )
            raise
        _write(cluster, {**there, **made})
    printed = answers[cluster.nodes.index(cluster.controller)].split()
    values = [word.removeprefix("SLURM_JWT=") for word in printed if word.startswith("SLURM_JWT=")]
    if len(values) != len(names):
        raise ClusterFailedError(f"scontrol made {len(values)} tokens for {len(names)} users: {', '.join(names)}")
    for name, value in zip(names, values, strict=True):
        tokens.keep(cluster, name, bearer.Token(value))
    logins.give(engine, cluster, names)


def remove(engine: Engine, cluster: Cluster, names: Sequence[str]) -> None:
    """Remove users that :func:`add` made, with their jobs and homes; what is gone already is no error.

    Raises:
        InputError: a name is none of theirs.
    """
    with locked(_file(cluster).with_suffix(".lock"), waiting=lambda: None):
        there = _read(cluster)
        for name in names:
            if name not in there:
                raise InputError("--user", name, ", ".join(there) or "nobody was added")
        lines = "".join(f"{name} {there[name]}\n" for name in names)
        engine.execute(cluster.controller.container, "sh", "-c", _FORGET, "sh", ",".join(names))
        _take_away(engine, cluster, lines)
        _write(cluster, {name: uid for name, uid in there.items() if name not in names})
        for name in names:
            tokens.token_file(cluster, name).unlink(missing_ok=True)
            tokens.header_file(cluster, name).unlink(missing_ok=True)
            logins.password_file(cluster, name).unlink(missing_ok=True)


def _take_away(engine: Engine, cluster: Cluster, lines: str) -> None:
    """Remove accounts from every node, where they are there."""
    in_parallel(lambda node: engine.execute(node.container, "sh", "-c", _REMOVE, text=lines), cluster.nodes)


def _file(cluster: Cluster) -> Path:
    return cluster.directory / "users.json"


def _new_numbers(cluster: Cluster, there: dict[str, int], count: int) -> int:
    """Return the first of numbers that nobody ever had: Slurm keeps jobs by the number."""
    last = cluster.directory / "last_uid"
    before = int(last.read_text(encoding="ascii")) if last.exists() else FIRST_UID - 1
    first = max([before, *there.values()]) + 1
    write_private(last, f"{first + count - 1}\n")
    return first


def _read(cluster: Cluster) -> dict[str, int]:
    """Return the numbers of the users that were added, by name."""
    try:
        found: dict[str, int] = json.loads(_file(cluster).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


def _write(cluster: Cluster, users: dict[str, int]) -> None:
    write_private(_file(cluster), json.dumps(users) + "\n")
