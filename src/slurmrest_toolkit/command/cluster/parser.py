"""The commands of ``slurmrest cluster``, in the order of its help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slurmrest_toolkit.command.cluster import (
    cache,
    curl,
    down,
    listing,
    logs,
    prune,
    rotate_key,
    shell,
    status,
    token,
    up,
    user,
)

if TYPE_CHECKING:
    import argparse

COMMANDS = (up, listing, status, user, token, curl, shell, rotate_key, logs, prune, cache, down)


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add them all."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for command in COMMANDS:
        command.add_command(actions)
