"""Options that several commands have, as parents of their parsers."""

from __future__ import annotations

import argparse
from typing import TypeAlias

from slurmrest_toolkit.clusters.state import LAYOUTS
from slurmrest_toolkit.images.suites import DEFAULT_SERIES, SUITES

Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no other name
"""What takes the commands."""


def named() -> argparse.ArgumentParser:
    """Return the option that names a cluster."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--name", help="the cluster (default: the only one there is)")
    return parser


def as_json() -> argparse.ArgumentParser:
    """Return the option for machines."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    return parser


def kind() -> argparse.ArgumentParser:
    """Return the options that choose a kind of cluster."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--slurm",
        choices=tuple(SUITES),
        metavar="SERIES",
        help=f"Slurm release: {', '.join(SUITES)} (default: {DEFAULT_SERIES}, or what --image offers)",
    )
    parser.add_argument(
        "--layout",
        choices=LAYOUTS,
        default=LAYOUTS[0],
        help="single: everything on one node; split: controller, database, REST hosts and compute nodes apart; "
        "ha: two controllers that share their state, two REST hosts",
    )
    parser.add_argument(
        "--nodes", type=int, default=1, metavar="N", help="compute nodes of the split layout (default: 1)"
    )
    parser.add_argument(
        "--rest-hosts",
        type=int,
        metavar="N",
        help="hosts of slurmrestd in the layouts split and ha (default: 1 in split, 2 in ha)",
    )
    return parser
