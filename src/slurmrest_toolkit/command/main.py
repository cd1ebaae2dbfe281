"""The command line ``slurmrest``. What users of a cluster need takes the standard library and Python 3.9 alone."""

from __future__ import annotations

import argparse
import contextlib
import io
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from slurmrest.errors import SlurmrestError

from slurmrest_toolkit.command.codes import CANNOT_RUN, EPILOG, INTERRUPTED, ended

if TYPE_CHECKING:
    from collections.abc import Sequence

CLUSTER = "cluster"
NEWER = (3, 11)
"""The Python that ansible-core, and with it clusters, needs."""

EXTRA = "pip install 'WHEEL[cluster]' (WHEEL is slurmrest_toolkit-VERSION-py3-none-any.whl of a release, or a clone)"


def build_parser(*, with_cluster: bool) -> argparse.ArgumentParser:
    """Return the parser of the whole command line.

    Args:
        with_cluster: with all commands of ``slurmrest cluster``, which takes the libraries that they need, and without
            all others, the import of which takes a tenth of a second.
    """
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="slurmrest",
        description="Throwaway Slurm clusters with a REST API, and proof that a slurmrestd works.",
        epilog=EPILOG,
        formatter_class=raw,
    )
    parser.add_argument("--version", action=Version, help="say what this is, and where its playbooks are")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    cluster = commands.add_parser(
        CLUSTER,
        help="start and use throwaway clusters",
        description="Real Slurm clusters in containers, deployed by this project's playbooks.",
        epilog=EPILOG,
        formatter_class=raw,
    )
    if with_cluster:
        from slurmrest_toolkit.command.cluster import parser as clusters

        clusters.add_commands(cluster)
    else:
        from slurmrest_toolkit.command import asking

        asking.add_commands(commands)
    return parser


def not_reached(options: argparse.Namespace) -> str:
    """Let a command reach the test cluster that it names; returns why it cannot, or an empty string."""
    from slurmrest_toolkit.command import name_option

    try:
        name_option.resolve(options)
    except ModuleNotFoundError as error:
        return f"--name needs the library {error.name}, which is not here. Install it: {EXTRA}"
    except SlurmrestError as error:
        return str(error)
    return ""


class Version(argparse.Action):
    """Prints the version, which is read only then."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:  # noqa: A002 - argparse's name
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print and end."""
        from slurmrest_toolkit.command.version import describe

        print(describe(), end="")
        parser.exit()


def missing_for_clusters() -> str:
    """Return what the commands of ``slurmrest cluster`` lack here, or an empty string."""
    if sys.version_info < NEWER:
        have = ".".join(map(str, sys.version_info[:2]))
        return f"slurmrest cluster needs Python {'.'.join(map(str, NEWER))} or later; this is {have}."
    try:
        from slurmrest_toolkit.command.cluster import parser  # noqa: F401 - whether it can be imported
    except ModuleNotFoundError as error:
        ours = str(error.name).startswith(__name__.partition(".")[0])
        lacks = "more than this one file" if ours else f"the library {error.name}, which is not here"
        return f"slurmrest cluster needs {lacks}. Install it: {EXTRA}"
    return ""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse a command line. What a shell on a node is to run begins after ``--``, which argparse only half knows."""
    words: Sequence[str] = ()
    if list(arguments[:2]) == [CLUSTER, "shell"] and "--" in arguments:
        dashes = arguments.index("--")
        arguments, words = arguments[:dashes], arguments[dashes + 1 :]
    options = build_parser(with_cluster=list(arguments[:1]) == [CLUSTER]).parse_args(arguments)
    if words:
        options.words += words
    return options


def parse_told(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; what a program that wants JSON of a cluster hears of a bad one is an object, too."""
    if arguments[:1] != [CLUSTER] or "--json" not in arguments:
        return parse(arguments)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return parse(arguments)
    except SystemExit as end:
        if end.code:
            words = said.getvalue()
            print(words, end="", file=sys.stderr)
            ended(argparse.Namespace(json=True), CANNOT_RUN, "", words.rpartition("error: ")[2].strip())
        raise


def interrupted(_signal: int, _frame: object) -> NoReturn:
    """Turn a request to end into the exception that cleans up on the way out, which only another Ctrl-C cuts short."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if list(arguments[:1]) == [CLUSTER] and (missing := missing_for_clusters()):
        print(missing, file=sys.stderr)
        return ended(argparse.Namespace(json="--json" in arguments), CANNOT_RUN, "", missing)
    try:
        options = parse_told(arguments)
    except SystemExit as end:
        from slurmrest.verify import command as verification

        raise SystemExit(verification.refused(arguments, end)) from None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    try:
        if refusal := not_reached(options):
            print(refusal, file=sys.stderr)
            return CANNOT_RUN
        if "face" not in options:
            return int(options.run(options))
        from slurmrest.users import command as users

        return users.run(options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
