"""``--name``: a test cluster instead of the address of a slurmrestd and a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slurmrest.command.token_options import UsageError

if TYPE_CHECKING:
    import argparse

    from slurmrest_toolkit.api import RunningCluster

ADMINISTRATORS = ("verify", "openapi")
"""Commands that ask as root where no user is named; the others are an ordinary user's."""

OPTION = "test_cluster"
INSTEAD = ("url", "token_file", "token_env", "key_file", "scontrol")


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add it."""
    words = "a test cluster (slurmrest cluster), instead of --url and a token"
    parser.add_argument("--name", dest=OPTION, metavar="CLUSTER", help=words)


def resolve(options: argparse.Namespace) -> None:
    """Put a cluster's address and a token that is good where the other options say them.

    Raises:
        UsageError: one of these is given, too.
        SlurmrestError: there is no such cluster, or it does not run.
    """
    name = getattr(options, OPTION, None)
    if name is None:
        return
    given = [f"--{key.replace('_', '-')}" for key in INSTEAD if getattr(options, key, None)]
    if given:
        raise UsageError(f"--name and {given[0]} say the same in two ways: give one of them.")
    from slurmrest_toolkit.api import attach
    from slurmrest_toolkit.support.locks import handing_over

    with handing_over():  # a token that is made anew
        _put(options, attach(name))


def _put(options: argparse.Namespace, cluster: RunningCluster) -> None:
    """Put them there."""
    from slurmrest_toolkit.clusters.tokens import ADMINISTRATOR
    from slurmrest_toolkit.nodes.inventory import ORDINARY_USER

    whom = options.user or (ADMINISTRATOR if options.command in ADMINISTRATORS else ORDINARY_USER)
    users = cluster.users
    if whom not in users:
        raise UsageError(f"--user {whom}: the cluster {cluster.name} has {', '.join(users)}.")
    users[whom].token()
    verify = options.command == "verify"
    options.url = list(cluster.urls) if verify else cluster.url
    options.token_file = str(users[whom].token_file)
    if verify and options.job and not (options.job_user or options.job_token_file):
        users[ORDINARY_USER].token()
        options.job_user, options.job_token_file = ORDINARY_USER, str(users[ORDINARY_USER].token_file)
