"""``slurmrest cluster prune``: remove the images kept between clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slurmrest_toolkit.clusters import liveness
from slurmrest_toolkit.command.cluster.options import engine
from slurmrest_toolkit.command.cluster.reporting import reporting
from slurmrest_toolkit.command.codes import OK
from slurmrest_toolkit.images import carry

if TYPE_CHECKING:
    import argparse

    from slurmrest_toolkit.command.cluster.options import Actions
    from slurmrest_toolkit.support.progress import Progress


def add_command(actions: Actions) -> None:
    """Add it."""
    words = "remove the images of converged nodes: the next up deploys anew"
    prune = actions.add_parser("prune", parents=[engine()], help=words)
    prune.add_argument("--all", action="store_true", help="base images and images with packages too")
    prune.set_defaults(run=reporting(run))


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Remove images that no container uses."""
    for name in carry.prune(liveness.engine_of(None, progress, options.engine), everything=options.all):
        progress.say(f"removed {name}")
    return OK
