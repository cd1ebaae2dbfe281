"""``slurmrest cluster curl``: one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slurmrest_toolkit.clusters import liveness, rest, tokens
from slurmrest_toolkit.clusters.state import choose
from slurmrest_toolkit.command.cluster.options import named
from slurmrest_toolkit.command.cluster.reporting import reporting

if TYPE_CHECKING:
    import argparse

    from slurmrest_toolkit.command.cluster.options import Actions
    from slurmrest_toolkit.support.progress import Progress


def add_command(actions: Actions) -> None:
    """Add it."""
    curl = actions.add_parser(
        "curl",
        parents=[named(alone=False)],
        help="send a request",
        description="PATH: diag, /slurmdb/diag, /openapi/v3, …",
    )
    curl.add_argument("--user", default=tokens.ADMINISTRATOR, help="as whom (default: %(default)s)")
    curl.add_argument("-X", dest="method", metavar="METHOD", help="default: GET, or POST with -d")
    curl.add_argument("-d", dest="body", metavar="BODY", help="JSON, or @FILE, or @- for standard input")
    curl.add_argument("path", metavar="PATH")
    curl.set_defaults(run=reporting(run))


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Send a request with the base URL, version and token filled in."""
    cluster = choose(options.name)
    liveness.require_node(cluster, cluster.rest_node, progress)
    engine = liveness.engine_of(cluster, progress)
    return rest.curl(engine, cluster, options.path, user=options.user, method=options.method, body=options.body)
