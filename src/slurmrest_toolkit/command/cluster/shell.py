"""``slurmrest cluster shell``: a shell or a command on a node."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING, NoReturn

from slurmrest_toolkit.clusters import liveness
from slurmrest_toolkit.clusters.state import choose
from slurmrest_toolkit.command.cluster.options import named
from slurmrest_toolkit.command.cluster.reporting import reporting
from slurmrest_toolkit.nodes.start import ssh_command

if TYPE_CHECKING:
    import argparse

    from slurmrest_toolkit.command.cluster.options import Actions
    from slurmrest_toolkit.support.progress import Progress


def add_command(actions: Actions) -> None:
    """Add it."""
    shell = actions.add_parser("shell", parents=[named(alone=False)], help="a shell or a command on a node")
    shell.add_argument("--user", default="root", help="as whom (default: %(default)s)")
    shell.add_argument("node", metavar="NODE")
    shell.add_argument("words", nargs="*", metavar="-- COMMAND", help="run with its arguments as they are, no shell")
    shell.set_defaults(run=reporting(run))


def run(options: argparse.Namespace, progress: Progress) -> NoReturn:
    """Become ssh: its exit code is that of the command."""
    cluster = choose(options.name)
    node = cluster.node(options.node)
    liveness.require_node(cluster, node, progress)
    command = ssh_command(cluster, node, user=options.user)
    if sys.stdin.isatty() and sys.stdout.isatty():
        command.insert(1, "-t")
    words = [shlex.join(options.words)] if options.words else []
    os.execvp(command[0], [*command, *words])  # noqa: S606 - arguments are a list: there is no shell on this side
