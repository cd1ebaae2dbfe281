"""``slurmrest cluster logs``: what the daemons logged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slurmrest_toolkit.clusters import journals, liveness
from slurmrest_toolkit.clusters.state import choose
from slurmrest_toolkit.command.cluster.options import named
from slurmrest_toolkit.command.cluster.reporting import reporting
from slurmrest_toolkit.command.codes import FAILED, OK

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
    """Show the journal of Slurm's units, node by node; fails where none of the nodes runs."""
    cluster = choose(options.name)
    engine = liveness.engine_of(cluster, progress)
    running = liveness.refresh(cluster, progress)
    wanted = [cluster.node(options.node)] if options.node else cluster.nodes
    nodes = [node for node in wanted if running[node.name]]
    for node in wanted:
        if node not in nodes:
            progress.say(f"{node.name} does not run, so its journal cannot be read")
    if not nodes:
        return FAILED
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
