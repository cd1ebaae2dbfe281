"""Ordinary users of a cluster that stands: an account on every node, an association, a token."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING

from slurmrest.auth import bearer
from slurmrest.errors import InputError

from slurmrest_toolkit.clusters import logins, tokens
from slurmrest_toolkit.clusters.state import write_private
from slurmrest_toolkit.nodes.inventory import USER
from slurmrest_toolkit.nodes.start import in_parallel
from slurmrest_toolkit.support.errors import CannotRunError, ClusterFailedError
from slurmrest_toolkit.support.locks import locked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from slurmrest_toolkit.clusters.state import Cluster, Node
    from slurmrest_toolkit.containers.engine import Engine

FIRST_UID = 20001
"""The same number on every node; those below belong to the images."""

ACCOUNT = "users"
"""The account of the accounting database that the cluster's first user has, too."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_ALLOWED = "1 to 31 lower-case letters, digits, hyphens, underscores, a letter first; no account or group of the nodes"

# What belongs to an account goes along: its group, its home, and at the end its jobs. One waits for the other: where a
# command is interrupted, what it had begun in a node goes on.
_IN_TURN = "exec 9</etc; flock --wait 60 9"
_TAKEN = """
while read -r name uid; do
    if getent passwd "$name" >/dev/null || getent group "$name" >/dev/null; then echo "$name"; fi
done
"""
_MAKE = f"""
set -eu
{_IN_TURN}
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
# An account with another number is not ours. A process that is left does not keep one.
_REMOVE = f"""
{_IN_TURN}
while read -r name uid; do
    [ "$(id -u "$name" 2>/dev/null)" = "$uid" ] || continue
    userdel --force --remove "$name" || :
done
"""


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
        there = name in names[:number] or name in taken or name == USER
        if there or not _NAME.fullmatch(name):
            raise InputError("--user", name, _ALLOWED, "there is one called so" if there else None)


def add(engine: Engine, cluster: Cluster, names: Sequence[str]) -> None:
    """Make ordinary users: accounts with homes on every node, members of :data:`ACCOUNT`, each with a token kept.

    Where that fails or is interrupted, no account of theirs stays.

    Raises:
        InputError: a name is none, or is taken.
        CannotRunError: the cluster has no Slurm.
        ClusterFailedError: a node or the database refuses.
    """
    if cluster.bare:
        raise CannotRunError(f"The cluster {cluster.name} is bare: it has no Slurm.")
    with _locked(cluster):
        there = _read(cluster)
        check(names, (*tokens.USERS, *there))
        _refuse_accounts(engine, cluster, names)
        first = _new_numbers(cluster, there, len(names))
        made = {name: first + number for number, name in enumerate(names)}
        _write(cluster, {**there, **made})  # first: remove takes away what a killed run leaves
        try:
            for name, token in zip(names, _enrol(engine, cluster, made), strict=True):
                tokens.keep(cluster, name, token)
            logins.give(engine, cluster, names)
        except BaseException:
            _take_back(engine, cluster, made)
            _write(cluster, there)
            raise


def _refuse_accounts(engine: Engine, cluster: Cluster, names: Sequence[str]) -> None:
    """Refuse names of accounts or groups that the nodes have for themselves. Raises InputError."""
    lines = "".join(f"{name} -\n" for name in names)
    answers = in_parallel(lambda node: engine.execute(node.container, "sh", "-c", _TAKEN, text=lines), cluster.nodes)
    for node, answer in zip(cluster.nodes, answers, strict=True):
        if answer:
            raise InputError("--user", answer.split()[0], _ALLOWED, f"{node.name} has one called so")


def _enrol(engine: Engine, cluster: Cluster, made: Mapping[str, int]) -> list[bearer.Token]:
    """Make accounts on all nodes, and have the controller enter them in accounting; return their tokens in order.

    Raises:
        ClusterFailedError: a node or the database refuses.
    """
    enrol = ("sh", "-c", _MAKE + _ENROL, "sh", ",".join(made), ACCOUNT, str(tokens.KEPT_LIFESPAN))

    def make(node: Node) -> str:
        command = enrol if node is cluster.controller else ("sh", "-c", _MAKE)
        return engine.execute(node.container, *command, text=_lines(made))

    printed = in_parallel(make, cluster.nodes)[cluster.nodes.index(cluster.controller)].split()
    values = [word.removeprefix("SLURM_JWT=") for word in printed if word.startswith("SLURM_JWT=")]
    if len(values) != len(made):
        raise ClusterFailedError(f"scontrol made {len(values)} tokens for {len(made)} users: {', '.join(made)}")
    return [bearer.Token(value) for value in values]


def _take_back(engine: Engine, cluster: Cluster, made: Mapping[str, int]) -> None:
    """Remove what there is of users that are not to be, wherever that can be done.

    What accounting has of them stays: it may have been there before, and :func:`add` takes it as it is.
    """
    in_parallel(
        lambda node: engine.run("exec", "--interactive", node.container, "sh", "-c", _REMOVE, text=_lines(made)),
        cluster.nodes,
    )
    with contextlib.suppress(ClusterFailedError):
        logins.take(engine, cluster, made)
    _forget_files(cluster, made)


def remove(engine: Engine, cluster: Cluster, names: Sequence[str]) -> None:
    """Remove users that :func:`add` made, with their jobs and homes; what is gone already is no error.

    Raises:
        InputError: a name is none of theirs.
    """
    with _locked(cluster):
        there = _read(cluster)
        for name in names:
            if name not in there:
                raise InputError("--user", name, ", ".join(there) or "nobody was added")
        lines = _lines({name: there[name] for name in names})
        engine.execute(cluster.controller.container, "sh", "-c", _FORGET, "sh", ",".join(names))
        in_parallel(lambda node: engine.execute(node.container, "sh", "-c", _REMOVE, text=lines), cluster.nodes)
        logins.take(engine, cluster, names)
        _write(cluster, {name: uid for name, uid in there.items() if name not in names})
        _forget_files(cluster, names)


def _forget_files(cluster: Cluster, names: Iterable[str]) -> None:
    for name in names:
        for file in (tokens.token_file, tokens.header_file, logins.password_file):
            file(cluster, name).unlink(missing_ok=True)


def _lines(users: Mapping[str, int]) -> str:
    return "".join(f"{name} {uid}\n" for name, uid in users.items())


def _locked(cluster: Cluster) -> AbstractContextManager[bool]:
    return locked(_file(cluster).with_suffix(".lock"), waiting=lambda: None)


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
