"""``slurmrest cluster rotate-key``: a new JWT key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from slurmrest_toolkit.clusters import rotation
from slurmrest_toolkit.clusters.state import choose
from slurmrest_toolkit.command.cluster.options import as_json, named
from slurmrest_toolkit.command.cluster.reporting import reporting
from slurmrest_toolkit.command.codes import OK

if TYPE_CHECKING:
    import argparse

    from slurmrest_toolkit.command.cluster.options import Actions
    from slurmrest_toolkit.support.progress import Progress


def add_command(actions: Actions) -> None:
    """Add it."""
    rotate = actions.add_parser("rotate-key", parents=[named(), as_json()], help="give the cluster a new JWT key")
    rotate.add_argument("--yes", action="store_true", help="every token made before is refused afterwards: I want that")
    rotate.set_defaults(run=reporting(run))


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Replace the JWT key of a cluster and tell for how long requests failed."""
    cluster = choose(options.name)
    done = rotation.rotate(cluster, progress, confirmed=options.yes)
    print(json.dumps(done, indent=2) if options.json else rotation.render(cluster, done))
    return OK
