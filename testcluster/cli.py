"""The command line: ``slurmrest cluster …`` and, passed on to the engine, ``slurmrest verify …``."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from slurmrest.errors import InputError, SlurmrestError

from testcluster import cluster as clusters
from testcluster import host as hosts
from testcluster.errors import CannotRunError
from testcluster.progress import Progress
from testcluster.state import LAYOUTS, cluster_names
from testcluster.suites import DEFAULT_SERIES, SUITES

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_NAME = "default"


def interrupted(_signal: int, _frame: object) -> NoReturn:
    """Turn a request to end into the exception that cleans up on the way out."""
    raise KeyboardInterrupt


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="slurmrest")
    commands = top.add_subparsers(dest="command", required=True)
    cluster = commands.add_parser("cluster", help="throwaway clusters").add_subparsers(dest="action", required=True)
    up = cluster.add_parser("up")
    up.add_argument("--slurm", choices=tuple(SUITES), default=None, help=f"Slurm series (default {DEFAULT_SERIES})")
    up.add_argument("--name", default=DEFAULT_NAME)
    up.add_argument("--layout", choices=LAYOUTS, default="single")
    up.add_argument("--nodes", type=int, default=1)
    up.add_argument("--engine", choices=("podman", "docker"))
    up.add_argument("--image")
    up.add_argument("--bare", action="store_true")
    up.add_argument("--allow-stale-mirror", action="store_true")
    up.add_argument("--keep-on-failure", action="store_true")
    down = cluster.add_parser("down")
    down.add_argument("name", nargs="?")
    down.add_argument("--all", action="store_true")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().parse_args(argv)
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGHUP, interrupted)
    progress = Progress()
    try:
        if options.action == "up":
            request = clusters.Request(
                options.name, options.slurm, options.layout, options.nodes, options.engine, options.image,
                options.bare, options.allow_stale_mirror, options.keep_on_failure,
            )
            started = clusters.up(request, progress)
            print(started.timings, started.verify and started.verify['ok'])
            print(started.directory / "inventory" / "hosts.yml")
        else:
            engine = hosts.find_engine(None, hosts.Host.detect(), progress)
            for name in cluster_names() if options.all else [options.name or DEFAULT_NAME]:
                clusters.remove(engine, name)
    except KeyboardInterrupt:
        progress.say("interrupted")
        return 130
    except (CannotRunError, InputError) as error:
        progress.say(str(error))
        return 2
    except SlurmrestError as error:
        progress.stop(); progress.say(f"phase {progress.current} failed: {error}")
        return 1
    return 0
