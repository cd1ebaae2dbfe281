"""``slurmrest cluster list``: the clusters of this user."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from slurmrest.errors import SlurmrestError

from slurmrest_toolkit.clusters import liveness
from slurmrest_toolkit.clusters.state import cluster_names, load
from slurmrest_toolkit.command.cluster.options import as_json
from slurmrest_toolkit.command.cluster.reporting import reporting
from slurmrest_toolkit.command.codes import OK
from slurmrest_toolkit.support.tables import print_table

if TYPE_CHECKING:
    import argparse

    from slurmrest_toolkit.command.cluster.options import Actions
    from slurmrest_toolkit.support.progress import Progress

COLUMNS = {"name": "NAME", "slurm_version": "SLURM", "layout": "LAYOUT", "state": "STATE", "base_url": "REST API"}


def add_command(actions: Actions) -> None:
    """Add it."""
    listing = actions.add_parser("list", parents=[as_json()], help="list clusters")
    listing.set_defaults(run=reporting(run))


def row(name: str, progress: Progress) -> dict[str, str]:
    """Describe a cluster in short."""
    try:
        cluster = load(name)
        if cluster is None or not cluster.ready:
            return {"name": name, "state": "not finished"}
        nodes = liveness.refresh(cluster, progress)
    except SlurmrestError as error:  # which says nothing of the others
        progress.say(str(error))
        return {"name": name, "state": "not known"}
    return {
        "name": name,
        "state": liveness.standstill(cluster, nodes) or "running",
        "slurm_version": cluster.slurm_version,
        "layout": cluster.layout,
        "base_url": "" if cluster.bare else cluster.base_url,
    }


def run(options: argparse.Namespace, progress: Progress) -> int:
    """List them."""
    rows = [row(name, progress) for name in cluster_names()]
    if options.json:
        print(json.dumps(rows, indent=2))
    elif not rows:
        progress.say("there are no clusters; start one with: slurmrest cluster up")
    else:
        print_table(tuple(COLUMNS.values()), [[row.get(key, "") for key in COLUMNS] for row in rows])
    return OK
