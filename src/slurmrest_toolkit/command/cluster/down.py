"""``slurmrest cluster down``: remove clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slurmrest_toolkit.clusters import remove
from slurmrest_toolkit.clusters.state import cluster_names, validate_name
from slurmrest_toolkit.command.cluster.reporting import reporting
from slurmrest_toolkit.command.codes import OK
from slurmrest_toolkit.support.errors import CannotRunError

if TYPE_CHECKING:
    import argparse

    from slurmrest_toolkit.command.cluster.options import Actions
    from slurmrest_toolkit.support.progress import Progress


def add_command(actions: Actions) -> None:
    """Add it."""
    down = actions.add_parser("down", help="remove clusters")
    down.add_argument("names", nargs="*", metavar="NAME", help="default: the only one there is")
    down.add_argument("--name", action="append", dest="more", default=[], metavar="NAME", help="the same")
    down.add_argument("--all", action="store_true", help="all of them")
    down.set_defaults(run=reporting(run))


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Remove clusters."""
    wanted = [*options.names, *options.more]
    if options.all and wanted:
        raise CannotRunError("--all and names exclude each other.")
    if options.all:
        remove.down(cluster_names(), progress)
    elif wanted:
        remove.down([validate_name(name) for name in wanted], progress)
    else:
        names = cluster_names()
        if len(names) != 1:
            raise CannotRunError(f"Which one? There: {', '.join(names) or 'none'}.", "Name it, or use --all.")
        remove.down(names, progress)
    return OK
