"""``slurmrest cluster status``: all about a cluster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from slurmrest_toolkit.clusters import describe, liveness
from slurmrest_toolkit.clusters.state import choose
from slurmrest_toolkit.command.cluster.options import as_json, named
from slurmrest_toolkit.command.cluster.reporting import reporting
from slurmrest_toolkit.command.codes import FAILED, OK

if TYPE_CHECKING:
    import argparse

    from slurmrest_toolkit.command.cluster.options import Actions
    from slurmrest_toolkit.support.progress import Progress


def add_command(actions: Actions) -> None:
    """Add it."""
    status = actions.add_parser("status", parents=[named(), as_json()], help="tell all about a cluster")
    status.set_defaults(run=reporting(run))


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Tell about one cluster; fails when a node is not running."""
    cluster = choose(options.name)
    nodes = liveness.refresh(cluster, progress)
    if options.json:
        print(json.dumps(describe.describe(cluster) | {"running": nodes}, indent=2))
    else:
        print(describe.summary(cluster))
    if words := liveness.standstill(cluster, nodes):
        progress.say(f"{words}. {liveness.anew(cluster, nodes)}")
        return FAILED
    return OK
