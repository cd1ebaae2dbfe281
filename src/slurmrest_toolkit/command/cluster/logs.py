"""``slurmrest cluster logs``: what the daemons logged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slurmrest_toolkit.clusters import journals, liveness
from slurmrest_toolkit.clusters.state import choose
from slurmrest_toolkit.command.cluster.options import named
from slurmrest_toolkit.command.cluster.reporting import reporting
from slurmrest_toolkit.command.codes import OK

if TYPE_CHECKING:
    import argparse

    from slurmrest_toolkit.command.cluster.options import Actions
    from slurmrest_toolkit.support.progress import Progress


def add_command(actions: Actions) -> None:
    """Add it."""
    logs = actions.add_parser("logs", parents=[named(alone=False)], help="show what the daemons logged")
    logs.add_argument("node", nargs="?", metavar="NODE", help="default: all nodes")
    logs.add_argument("--unit", action="append", help=f"default: {', '.join(journals.UNITS)}")
    logs.add_argument("--since", metavar="TIME", help="as journalctl takes it: '10 min ago', @SECONDS, …")
    logs.add_argument("--output", metavar="DIR", help="a file for each node, and Ansible's log, instead of printing it")
    logs.set_defaults(run=reporting(run))


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Show the journal of Slurm's units, node by node."""
    cluster = choose(options.name)
    engine = liveness.engine_of(cluster, progress)
    nodes = [cluster.node(options.node)] if options.node else cluster.nodes
    journals.check(engine, nodes, options.unit or (), options.since)
    units, since = options.unit or journals.UNITS, options.since
    if options.output is not None:
        texts = {node.name: journals.journal(engine, node, units, since=since) for node in nodes}
        kept = journals.keep(cluster, texts, Path(options.output).absolute())
        progress.say(f"{len(kept)} file{'s' if len(kept) > 1 else ''} in {options.output}: {', '.join(kept)}")
        return OK
    for node in nodes:
        if len(cluster.nodes) > 1 and not options.node:
            print(f"==> {node.name} <==")
        print(journals.journal(engine, node, units, since=since), end="")
    return OK
