"""The commands that ask a slurmrestd, and the doctor: those that take the standard library alone."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from slurmrest.users import command as users
from slurmrest.verify import command as verification

from slurmrest_toolkit.command import doctor, name_option

if TYPE_CHECKING:
    from collections.abc import Iterator


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them all."""
    verify = commands.add_parser(
        "verify",
        help="prove over HTTP that a slurmrestd works",
        description=verification.DESCRIPTION,
        epilog=verification.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verification.add_arguments(verify)
    verify.set_defaults(run=verification.run)
    users.add_commands(commands)
    doctor.add_command(commands)
    for command in reaching(commands):
        name_option.add_option(command)


def reaching(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> Iterator[argparse.ArgumentParser]:
    """Yield the parsers of commands that reach a slurmrestd with a token."""
    yield from (commands.choices[name] for name in ("verify", "submit", "openapi"))
    for action in commands.choices["job"]._actions:  # noqa: SLF001 - argparse has no other way to its sub-commands
        if isinstance(action.choices, dict):
            yield from action.choices.values()
