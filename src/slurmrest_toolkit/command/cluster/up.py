"""``slurmrest cluster up``: start a cluster."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from slurmrest_toolkit.clusters import describe, lifecycle
from slurmrest_toolkit.clusters.logins import IDENTITIES
from slurmrest_toolkit.clusters.prove import LEVELS
from slurmrest_toolkit.clusters.state import DEFAULT_NAME
from slurmrest_toolkit.command.cluster.options import as_json, engine, kind, named
from slurmrest_toolkit.command.cluster.reporting import reporting
from slurmrest_toolkit.command.codes import OK
from slurmrest_toolkit.support.waiting import LONGEST

if TYPE_CHECKING:
    from slurmrest_toolkit.command.cluster.options import Actions
    from slurmrest_toolkit.support.progress import Progress

CAPABILITIES = ("SYS_ADMIN",)


def add_command(actions: Actions) -> None:
    """Add it."""
    parents = [named(), as_json(), kind(), engine()]
    up = actions.add_parser("up", parents=parents, help="start a cluster and prove that it works")
    up.add_argument(
        "--identity",
        choices=IDENTITIES,
        default=IDENTITIES[0],
        help="how users of the gateway show who they are: a Slurm token, or a login (default: %(default)s)",
    )
    up.add_argument("--reuse", action="store_true", help="take the cluster of that name where it stands already")
    up.add_argument("--wait", action="store_true", help="wait for another process that is at work on it")
    up.add_argument(
        "--verify",
        choices=LEVELS,
        default=LEVELS[0],
        help="full: with a job; quick: by requests alone; none: as soon as it answers (default: %(default)s)",
    )
    up.add_argument(
        "--user", action="append", default=[], metavar="NAME", help="one more ordinary user; repeat it for more"
    )
    up.add_argument(
        "--conf",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        type=pair,
        help="a key of slurm.conf; repeat it for more. The first start with it is a cold one",
    )
    up.add_argument(
        "--patience",
        type=float,
        default=LONGEST,
        metavar="SECONDS",
        help="when to give up a node or daemon that is not there yet but makes progress (default: %(default)g)",
    )
    up.add_argument("--image", metavar="BASE", help="start from an ordinary image, such as debian:12")
    up.add_argument(
        "--allow-stale-mirror", action="store_true", help="accept a package index past its Valid-Until date"
    )
    up.add_argument("--keep-on-failure", action="store_true", help="leave what was started for a look at it")
    up.add_argument(
        "--no-cache", action="store_true", help="deploy anew instead of starting from images of converged nodes"
    )
    up.add_argument("--bare", action="store_true", help="nodes and inventory only, without Slurm")
    up.add_argument(
        "--capability",
        action="append",
        default=[],
        metavar="NAME",
        choices=CAPABILITIES,
        help=f"give the containers a capability: {', '.join(CAPABILITIES)}, with which systemd makes mount namespaces",
    )
    up.set_defaults(run=reporting(run))


def pair(text: str) -> tuple[str, str]:
    """Return a key and its value."""
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Start a cluster and print its summary, its description, or for a bare one its inventory."""
    request = lifecycle.Request(
        name=options.name or DEFAULT_NAME,
        series=options.slurm,
        layout=options.layout,
        compute_nodes=options.nodes,
        rest_hosts=options.rest_hosts,
        gateway=options.gateway,
        identity=options.identity,
        engine=options.engine,
        image=options.image,
        bare=options.bare,
        allow_stale=options.allow_stale_mirror,
        keep_on_failure=options.keep_on_failure,
        cache=not options.no_cache,
        capabilities=tuple(options.capability),
        verify=options.verify,
        users=tuple(options.user),
        conf=dict(options.conf),
        reuse=options.reuse,
        wait=options.wait,
        patience=options.patience,
    )
    cluster = lifecycle.up(request, progress)
    if options.json:
        print(json.dumps(describe.describe(cluster), indent=2))
    elif cluster.bare:
        print(cluster.directory / "inventory" / "hosts.yml")
    else:
        print(describe.summary(cluster))
    return OK
