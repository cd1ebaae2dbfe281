"""Passwords of a cluster's users, for a gateway with logins: made here, known to its node, kept for clients."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from slurmrest_toolkit.clusters.state import write_private

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from slurmrest_toolkit.clusters.state import Cluster
    from slurmrest_toolkit.containers.engine import Engine

IDENTITIES = ("token", "pam")
"""How users of a test cluster's gateway show who they are."""

# Where hosts are apart, that of the gateway does not know all users.
_KNOW = 'while read -r name uid; do id "$name" >/dev/null || useradd --uid "$uid" --user-group "$name"; done'


def password_file(cluster: Cluster, user: str) -> Path:
    """Where a user's password is kept: the password alone on one line."""
    return cluster.directory / f"password.{user}"


def give(engine: Engine, cluster: Cluster, names: Iterable[str]) -> None:
    """Give users passwords, where the cluster's gateway asks for them. They travel through standard input only.

    Raises:
        EngineError: the node refuses.
    """
    if cluster.gateway_node is None or cluster.identity != "pam":
        return
    made = {name: secrets.token_urlsafe(16) for name in names}
    known = engine.execute(cluster.controller.container, "id", "--user", *made).split()
    accounts = "".join(f"{name} {uid}\n" for name, uid in zip(made, known, strict=True))
    engine.execute(cluster.gateway_node.container, "sh", "-c", _KNOW, text=accounts)
    lines = "".join(f"{name}:{password}\n" for name, password in made.items())
    engine.execute(cluster.gateway_node.container, "chpasswd", text=lines)
    for name, password in made.items():
        write_private(password_file(cluster, name), password + "\n")
