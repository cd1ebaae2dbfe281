"""``slurmrest cluster cache``: the images of converged nodes carried in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slurmrest_toolkit import collection
from slurmrest_toolkit.clusters import liveness
from slurmrest_toolkit.clusters.layouts import plan_nodes
from slurmrest_toolkit.command.cluster.options import engine, kind
from slurmrest_toolkit.command.cluster.reporting import reporting
from slurmrest_toolkit.command.codes import OK
from slurmrest_toolkit.containers.find import find_engine
from slurmrest_toolkit.containers.host import Host
from slurmrest_toolkit.images import archive, base, carry, warm
from slurmrest_toolkit.images.suites import DEFAULT_SERIES
from slurmrest_toolkit.support import sudo

if TYPE_CHECKING:
    import argparse

    from slurmrest_toolkit.command.cluster.options import Actions
    from slurmrest_toolkit.support.progress import Progress


def add_command(actions: Actions) -> None:
    """Add it."""
    cache = actions.add_parser("cache", help="carry the images of converged nodes to another machine")
    directions = cache.add_subparsers(dest="direction", metavar="DIRECTION", required=True)
    key = directions.add_parser(
        "key", parents=[kind()], help="print what those images are called by: a cache of a CI service restores by it"
    )
    key.set_defaults(run=reporting(run_key))
    save = directions.add_parser(
        "save", parents=[kind(), engine()], help="write what such a cluster starts from, without keys"
    )
    save.add_argument("file", metavar="FILE")
    save.set_defaults(run=reporting(run_save))
    load = directions.add_parser(
        "load",
        parents=[engine()],
        help="read it; up then starts from it, with the same version. Trusted like code",
        description=f"Reads images of converged nodes, under this command's own names only. {archive.TRUST}",
    )
    load.add_argument("file", metavar="FILE")
    load.set_defaults(run=reporting(run_load))


def run_key(options: argparse.Namespace, _progress: Progress) -> int:
    """Print what warm images are called by."""
    print(chosen(options).prefix.rstrip("-"))
    return OK


def chosen(options: argparse.Namespace) -> warm.Recipe:
    """Return what the warm images of a kind of cluster are called."""
    suite = base.suite_name(options.slurm or DEFAULT_SERIES)
    planned = plan_nodes("example", options.layout, options.nodes, options.rest_hosts, gateway=options.gateway)
    return warm.recipe(suite, options.layout, planned, collection.ensure())


def run_save(options: argparse.Namespace, progress: Progress) -> int:
    """Write warm images to a file."""
    target = Path(options.file).absolute()
    carry.save(liveness.engine_of(None, progress, options.engine), chosen(options), target)
    sudo.hand_over(target)
    progress.say(f"{target}: {target.stat().st_size / 1e6:.0f} MB")
    return OK


def run_load(options: argparse.Namespace, progress: Progress) -> int:
    """Read warm images from a file."""
    found = find_engine(options.engine, Host.detect(), progress, install=True)
    names = carry.load(found, Path(options.file).absolute())
    progress.say(f"new: {', '.join(names)}" if names else "nothing new: all images were there")
    return OK
