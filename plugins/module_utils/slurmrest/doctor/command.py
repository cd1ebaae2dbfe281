"""The command line of the doctor for the host it runs on."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from ..auth.minting import write_private
from ..command.token_options import UsageError, token_from_file
from ..errors import SlurmrestError
from . import this_host
from .render import render_text

if TYPE_CHECKING:
    import argparse

    from .this_host import Examination

OK, FOUND, CANNOT_RUN = 0, 1, 2


def add_arguments(parser: argparse._ActionsContainer) -> None:
    """Add the options, so that another command can carry them."""
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.add_argument(
        "--request", metavar="LINE", help="explain a client's request, such as 'GET /slurmdb/v0.0.42/diag'"
    )
    parser.add_argument("--user", default="", help="what that client sends as X-SLURM-USER-NAME (default: nothing)")
    parser.add_argument("--token-file", metavar="FILE", default="", help="the token it sends (default: none)")
    parser.add_argument("--evidence", metavar="FILE", help="keep what was seen as JSON; it holds no secrets")


def add_arguments_of_a_host(parser: argparse._ActionsContainer) -> None:
    """Add the options that only the doctor for the host it runs on has."""
    parser.add_argument(
        "--listen",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="where clients expect slurmrestd, such as 0.0.0.0:6820, besides its own listeners; may be repeated",
    )
    parser.add_argument("--instance", default="", help="that of slurmrestd@INSTANCE.service, where several serve here")


def run(arguments: argparse.Namespace) -> int:
    """Look at this host, print causes and what could not be seen, and return the exit code."""
    try:
        if os.geteuid() != 0:
            raise UsageError(
                "keys, listening sockets and journals of this host are root's: anybody else would see half of it.",
                "Run it as root.",
            )
        examination = _examine(arguments)
        if arguments.evidence:
            kept = {"hosts": {examination.host: examination.evidence}, "unreachable": {}}
            write_private(arguments.evidence, json.dumps(kept, indent=1) + "\n")
    except SlurmrestError as error:
        sys.stderr.write(f"could not run: {error}\n")
        return CANNOT_RUN
    data = examination.as_dict()
    if arguments.json:
        sys.stdout.write(json.dumps(data, indent=2) + "\n")
    else:
        sys.stdout.write(render_text(data, colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
    return OK if examination.report.healthy else FOUND


def _examine(arguments: argparse.Namespace) -> Examination:
    request = None
    if arguments.request:
        token = token_from_file(arguments.token_file, "--token-file") if arguments.token_file else None
        request = this_host.LocalRequest.parse(arguments.request, arguments.user, token)
    elif arguments.user or arguments.token_file:
        raise UsageError("--user and --token-file belong to --request.")
    return this_host.examine(listen=arguments.listen, instance=arguments.instance, request=request)
