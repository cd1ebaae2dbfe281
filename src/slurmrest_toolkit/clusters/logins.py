"""Passwords of a cluster's users, for a gateway with logins: made here, known in its REST nodes, kept for clients."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from slurmrest_toolkit.clusters.state import write_private

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from slurmrest_toolkit.clusters.state import Cluster
    from slurmrest_toolkit.containers.engine import Engine

IDENTITIES = ("token", "pam", "oidc")
"""How users of a test cluster's gateway show who they are."""

PROVIDED = "/etc/slurmrest-test-provider/users"
"""Where the test provider has its users: a name and a password on each line."""

# Where hosts are apart, that of the gateway does not know all users; and of users whom its host does not know,
# slurmrestd answers no names.
_KNOW = 'while read -r name uid; do id "$name" >/dev/null || useradd --uid "$uid" --user-group "$name"; done'

# Names are letters, digits, hyphens and underscores (users.py).
_FORGET = f'while read -r name; do sed -i "/^$name /d" {PROVIDED}; done'


def password_file(cluster: Cluster, user: str) -> Path:
    """Where a user's password is kept: the password alone on one line."""
    return cluster.directory / f"password.{user}"


def give(engine: Engine, cluster: Cluster, names: Iterable[str]) -> None:
    """Give users passwords, where the cluster's gateway asks for them. They travel through standard input only.

    Raises:
        EngineError: the node refuses.
    """
    if cluster.gateway_node is None or cluster.identity == IDENTITIES[0]:
        return
    made = {name: secrets.token_urlsafe(16) for name in names}
    known = engine.execute(cluster.controller.container, "id", "--user", *made).split()
    accounts = "".join(f"{name} {uid}\n" for name, uid in zip(made, known, strict=True))
    for node in cluster.rest_nodes:
        engine.execute(node.container, "sh", "-c", _KNOW, text=accounts)
    separator, taker = (":", "chpasswd") if cluster.identity == "pam" else (" ", f"cat >> {PROVIDED}")
    lines = "".join(f"{name}{separator}{password}\n" for name, password in made.items())
    engine.execute(cluster.gateway_node.container, "sh", "-c", taker, text=lines)
    for name, password in made.items():
        write_private(password_file(cluster, name), password + "\n")


def take(engine: Engine, cluster: Cluster, names: Iterable[str]) -> None:
    """Take from the test provider what :func:`give` told it of users; with PAM a password goes with the account.

    Raises:
        EngineError: the node refuses.
    """
    if cluster.gateway_node is not None and cluster.identity == "oidc":
        lines = "".join(f"{name}\n" for name in names)
        engine.execute(cluster.gateway_node.container, "sh", "-c", _FORGET, text=lines)
