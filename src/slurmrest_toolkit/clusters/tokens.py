"""Tokens of a cluster's users: asked of scontrol on the controller, kept in files that only their owner reads."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from slurmrest.auth import bearer, jwt
from slurmrest.auth.bearer import TOKEN_HEADER, USER_HEADER
from slurmrest.errors import InputError

from slurmrest_toolkit.clusters.state import write_private
from slurmrest_toolkit.nodes.inventory import ORDINARY_USER
from slurmrest_toolkit.support.errors import ClusterFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from slurmrest_toolkit.clusters.state import Cluster
    from slurmrest_toolkit.containers.engine import Engine

ADMINISTRATOR = "root"
USERS = (ADMINISTRATOR, ORDINARY_USER)
KEPT_LIFESPAN = 86400
"""Seconds for which the tokens in the cluster's directory are good; a test run is shorter."""

RENEW_SECONDS = 60.0


def mint(engine: Engine, cluster: Cluster, user: str, lifespan: int) -> bearer.Token:
    """Ask a controller that answers for a token; it travels through standard output only.

    Args:
        engine: the container engine.
        cluster: the cluster.
        user: the account the token is for.
        lifespan: seconds it is good for.

    Raises:
        InputError: the lifespan is not positive, or the name is none.
        ClusterFailedError: scontrol refuses, on each of the controllers.
    """
    if lifespan < 1:
        raise InputError("--lifespan", lifespan, "seconds, at least 1")
    if not user or user.startswith("-") or not user.isprintable() or any(c in user for c in " =/"):
        raise InputError("--user", user, "the name of an account")
    command = ("env", "-u", "SLURM_JWT", "scontrol", "token", f"username={user}", f"lifespan={lifespan}")
    refusals = []
    for controller in cluster.controllers:
        done = engine.run("exec", controller.container, *command)
        name, _, value = done.stdout.strip().partition("=")
        if done.returncode == 0 and name == "SLURM_JWT":
            return bearer.Token(value)
        words = done.stderr.strip() or f"exit code {done.returncode}"
        refusals.append(f"scontrol on {controller.name} made no token for {user}: {words}")
    raise ClusterFailedError("; ".join(refusals))


def token_file(cluster: Cluster, user: str) -> Path:
    """Where a user's token is kept: the token alone on one line."""
    return cluster.directory / f"token.{user}"


def header_file(cluster: Cluster, user: str) -> Path:
    """Where the same token is kept as HTTP headers, for ``curl -H @FILE``."""
    return cluster.directory / f"header.{user}"


def kept(cluster: Cluster) -> list[str]:
    """Return the names of whom a token is kept, users of the cluster or not: ``curl --user`` takes any name."""
    return sorted(path.name.partition(".")[2] for path in cluster.directory.glob("token.*"))


def renew(engine: Engine, cluster: Cluster, user: str) -> bearer.Token:
    """Ask for a new token and keep it."""
    token = mint(engine, cluster, user, KEPT_LIFESPAN)
    keep(cluster, user, token)
    return token


def keep(cluster: Cluster, user: str, token: bearer.Token) -> None:
    """Write the files of a user's token."""
    write_private(token_file(cluster, user), f"{token.reveal()}\n")
    write_private(header_file(cluster, user), f"{USER_HEADER}: {user}\n{TOKEN_HEADER}: {token.reveal()}\n")


def usable(cluster: Cluster, user: str, now: float | None = None) -> bool:
    """Is there a kept token of this user that is good for a minute more?"""
    try:
        token = bearer.Token(token_file(cluster, user).read_text(encoding="ascii").strip())
    except FileNotFoundError:
        return False
    expires = jwt.inspect(token).expires
    return expires is None or expires > (time.time() if now is None else now) + RENEW_SECONDS
