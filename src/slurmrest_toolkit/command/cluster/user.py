"""``slurmrest cluster user``: ordinary users of a cluster that stands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from slurmrest_toolkit.clusters import describe, liveness, users
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
    user = actions.add_parser("user", help="add and remove ordinary users")
    verbs = user.add_subparsers(dest="verb", metavar="VERB", required=True)
    how = "an account on every node, one in accounting, and a token"
    add = verbs.add_parser("add", parents=[named(alone=False), as_json()], help=f"add users: {how}")
    add.add_argument("users", nargs="+", metavar="USER")
    add.set_defaults(run=reporting(run_add))
    remove = verbs.add_parser("remove", parents=[named(alone=False), as_json()], help="remove users that were added")
    remove.add_argument("users", nargs="+", metavar="USER", help="with their jobs and homes")
    remove.set_defaults(run=reporting(run_remove))


def run_add(options: argparse.Namespace, progress: Progress) -> int:
    """Add users, and print where their tokens are."""
    cluster = choose(options.name)
    users.add(liveness.engine_of(cluster, progress), cluster, options.users)
    there = describe.describe(cluster)["users"]
    if options.json:
        print(json.dumps({"users": there}, indent=2))
    else:
        print("\n".join(f"{name}  {there[name]['token']}" for name in options.users))
    return OK


def run_remove(options: argparse.Namespace, progress: Progress) -> int:
    """Remove users."""
    cluster = choose(options.name)
    users.remove(liveness.engine_of(cluster, progress), cluster, options.users)
    if options.json:
        print(json.dumps({"users": describe.describe(cluster)["users"]}, indent=2))
    else:
        progress.say(f"removed {', '.join(options.users)}")
    return OK
