"""``slurmrest doctor``: the cause when a slurmrestd does not work, of a test cluster or of this host."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from slurmrest.doctor import command
from slurmrest.doctor.render import render_text

from slurmrest_toolkit.command.codes import FAILED, OK

if TYPE_CHECKING:
    from slurmrest_toolkit.support.progress import Progress


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``slurmrest doctor``."""
    doctor = commands.add_parser(
        "doctor",
        help="name the cause when a slurmrestd does not work",
        description="Looks at every host of a test cluster, or as root at this host, changes nothing, and names "
        "causes, most likely first. For all hosts of your own: ansible-playbook slurmrest.toolkit.doctor",
    )
    where = doctor.add_mutually_exclusive_group()
    where.add_argument("--name", help="the test cluster (default: the only one there is)")
    where.add_argument(
        "--here", action="store_true", help="this host (default where no test cluster is); says what it cannot see"
    )
    command.add_arguments(doctor)
    command.add_arguments_of_a_host(doctor.add_argument_group("with --here"))
    doctor.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Look at a test cluster, or at this host."""
    if options.name is None and (options.here or options.listen or options.instance or not has_clusters()):
        return command.run(options)
    from slurmrest_toolkit.command.cluster.reporting import reporting

    return reporting(run_on_cluster)(options)


def has_clusters() -> bool:
    """Whether this user has test clusters; without the libraries that start them there are none."""
    try:
        from slurmrest_toolkit.clusters.state import cluster_names
    except ImportError:
        return False
    return bool(cluster_names())


def run_on_cluster(options: argparse.Namespace, progress: Progress) -> int:
    """Print what is wrong with a cluster; fails when something is."""
    from slurmrest_toolkit.clusters import doctor, liveness
    from slurmrest_toolkit.clusters.state import choose

    cluster = choose(options.name)
    liveness.require(cluster, progress, whole=False)
    request = doctor.ClientRequest(options.request, options.user, options.token_file) if options.request else None
    report = doctor.examine(cluster, progress, client=request, evidence=options.evidence)
    print(json.dumps(report, indent=2) if options.json else render_text(report, colour=sys.stdout.isatty()).rstrip())
    return OK if report["healthy"] else FAILED
