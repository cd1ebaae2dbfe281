"""``slurmrest cluster token``: a new token of a user."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slurmrest_toolkit.clusters import liveness, tokens, users
from slurmrest_toolkit.clusters.state import choose, write_private
from slurmrest_toolkit.command.cluster.options import named
from slurmrest_toolkit.command.cluster.reporting import reporting
from slurmrest_toolkit.command.codes import OK
from slurmrest_toolkit.support import sudo

if TYPE_CHECKING:
    import argparse

    from slurmrest_toolkit.command.cluster.options import Actions
    from slurmrest_toolkit.support.progress import Progress

DEFAULT_LIFESPAN = 1800


def add_command(actions: Actions) -> None:
    """Add it."""
    token = actions.add_parser("token", parents=[named()], help="make a token")
    token.add_argument("--user", default=tokens.ADMINISTRATOR, help="whose (default: %(default)s)")
    token.add_argument("--lifespan", type=int, default=DEFAULT_LIFESPAN, metavar="SECONDS", help="default: %(default)s")
    token.add_argument("--output", metavar="FILE", help="write it there, readable by you alone, instead of printing it")
    token.set_defaults(run=reporting(run))


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Make a token and print it, or write it to a file that only its owner reads."""
    cluster = choose(options.name)
    liveness.require(cluster, progress, whole=False)
    engine = liveness.engine_of(cluster, progress)
    token = tokens.mint(engine, cluster, options.user, options.lifespan)
    if words := users.doubt(engine, cluster, options.user):
        progress.say(words)
    if options.output:
        target = Path(options.output).absolute()
        write_private(target, f"{token.reveal()}\n")
        sudo.hand_over(target)
    else:
        print(token.reveal())
    return OK
