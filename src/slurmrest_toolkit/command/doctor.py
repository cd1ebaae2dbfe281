"""``slurmrest doctor``: the cause when a slurmrestd does not work."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from slurmrest.doctor.render import render_text

from slurmrest_toolkit.command.codes import FAILED, OK

if TYPE_CHECKING:
    from slurmrest_toolkit.support.progress import Progress


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``slurmrest doctor``."""
    doctor = commands.add_parser(
        "doctor",
        help="name the cause when a test cluster's slurmrestd does not work",
        description="Looks at every host of a test cluster, changes nothing, and names causes, most likely first. "
        "For hosts of your own: ansible-playbook playbooks/doctor.yml",
    )
    doctor.add_argument("--name", help="the cluster (default: the only one there is)")
    doctor.add_argument("--json", action="store_true", help="JSON on standard output")
    doctor.add_argument(
        "--request", metavar="LINE", help="explain a client's request, such as 'GET /slurm/v0.0.42/diag'"
    )
    doctor.add_argument("--user", default="", help="what that client sends as X-SLURM-USER-NAME (default: nothing)")
    doctor.add_argument("--token-file", metavar="FILE", default="", help="the token it sends (default: none)")
    doctor.add_argument("--evidence", metavar="FILE", help="keep what was seen as JSON; it holds no secrets")
    doctor.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Look at a test cluster."""
    from slurmrest_toolkit.command.cluster.reporting import reporting

    return reporting(run_on_cluster)(options)


def run_on_cluster(options: argparse.Namespace, progress: Progress) -> int:
    """Print what is wrong with a cluster; fails when something is."""
    from slurmrest_toolkit.clusters import doctor
    from slurmrest_toolkit.clusters.state import choose

    request = doctor.ClientRequest(options.request, options.user, options.token_file) if options.request else None
    report = doctor.examine(choose(options.name), progress, client=request, evidence=options.evidence)
    print(json.dumps(report, indent=2) if options.json else render_text(report, colour=sys.stdout.isatty()).rstrip())
    return OK if report["healthy"] else FAILED
