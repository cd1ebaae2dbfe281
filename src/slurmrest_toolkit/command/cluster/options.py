"""Options that several commands have, as parents of their parsers."""

from __future__ import annotations

import argparse
from typing import Any, TypeAlias

from slurmrest_toolkit.clusters.layouts import LAYOUTS
from slurmrest_toolkit.containers.prerequisites import CHOICE, ENGINES
from slurmrest_toolkit.images.suites import DEFAULT_SERIES, SUITES

Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no other name
"""What takes the commands."""


class Named(argparse.Action):
    """Takes a cluster's name once, whether it stands alone or behind --name."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        """Take it."""
        if option is None and values is None:
            return
        if getattr(namespace, "name", None) not in {None, values}:
            parser.error(
                f"two names of one cluster: {namespace.name} and {values}. What stands alone is a name: is an option "
                "before it misspelt?"
            )
        namespace.name = values


def named(*, alone: bool = True) -> argparse.ArgumentParser:
    """Return what names a cluster: NAME or --name, or --name only where something else stands alone."""
    parser = argparse.ArgumentParser(add_help=False)
    words = "the cluster (default: the only one there is; up: default)"
    parser.add_argument("--name", dest="name", action=Named, help=words)
    if alone:
        parser.add_argument("name", nargs="?", action=Named, metavar="NAME", help="the same")
    return parser


def as_json() -> argparse.ArgumentParser:
    """Return the option for machines."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    return parser


def engine() -> argparse.ArgumentParser:
    """Return the option that chooses a container engine."""
    parser = argparse.ArgumentParser(add_help=False)
    words = f"container engine (default: that of the environment's {CHOICE}, else what works here)"
    parser.add_argument("--engine", choices=ENGINES, help=words)
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
    parser.add_argument(
        "--gateway", action="store_true", help="a gateway with TLS in front of slurmrestd, on the first of its hosts"
    )
    return parser
