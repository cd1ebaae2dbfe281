"""Measure this project beside a script that does the same by hand and beside the daemons' own start, and say so."""

from __future__ import annotations

import argparse
import functools
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slurmrest.errors import SlurmrestError

from benchmarks import commands, compare, gateway, hosts, load, pairs, report, sizes
from benchmarks.results import ROOT, Results, commit_of, machine
from slurmrest_toolkit.clusters import liveness
from slurmrest_toolkit.images.suites import SUITES
from slurmrest_toolkit.support.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


RESULTS = ROOT / "docs" / "data" / "benchmarks.json"
PAGE, PLOT = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks.svg"
OK, FAILED, INTERRUPTED = 0, 1, 130


@dataclass(frozen=True)
class Part:
    """What can be measured on its own: ``minutes`` is the time after which no further round begins."""

    summary: str
    measure: Callable[..., None]
    minutes: float
    usual: bool = True
    kinds: tuple[tuple[str, ...], ...] = ((), commands.SPLIT)
    """Arguments of ``up`` whose images have to be there."""


PARTS = {
    "start": Part("warm starts, by hand, the daemons' own start, second deploy.yml, verify.yml", compare.start, 6),
    "deploy": Part("the last three of these, on the cluster bench that runs", compare.deploy, 6, usual=False),
    "hosts": Part("second deploy.yml on 1, 5 and 20 hosts", hosts.measure, 6),
    "first": Part("first deployment with packages from the network, and by hand", compare.first, 4),
    "sizes": Part("memory and images, and what carrying images costs", sizes.measure, 2),
    "load": Part("requests a second and their times, with the defaults", load.measure, 6),
    "gateway": Part("a gateway beside the daemon alone", gateway.measure, 6, kinds=(commands.GATEWAY,)),
    "gateway_up": Part("what a gateway adds to a warm start", gateway.starts, 4, kinds=((), commands.GATEWAY)),
    "pairs": Part("this checkout and another one (--against) in turns", pairs.measure, 15, usual=False),
    "threads": Part("the same for several numbers of threads; not run unless named", load.choose, 6, usual=False),
}


def main(argv: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    usual = [name for name, part in PARTS.items() if part.usual]
    parser = argparse.ArgumentParser(
        prog="benchmarks/run",
        description=f"{__doc__} Every measurement is in {RESULTS.relative_to(ROOT)} at once, and the page is written "
        "at the end, after Ctrl-C too.",
        epilog="parts: " + "; ".join(f"{name}: {part.summary}" for name, part in PARTS.items()),
    )
    parser.add_argument("--part", choices=tuple(PARTS), action="append", help=f"default: {', '.join(usual)}")
    parser.add_argument("--slurm", choices=tuple(SUITES), action="append", help="releases (default: all of them)")
    parser.add_argument("--rounds", type=int, default=5, help="how often, at most (default: %(default)s)")
    parser.add_argument("--against", type=Path, metavar="DIR", help="for the part pairs: the other checkout")
    parser.add_argument("--continue", dest="resume", action="store_true", help="leave out what is complete")
    parser.add_argument("--render", action="store_true", help="measure nothing, write the page from the last results")
    options = parser.parse_args(argv)
    parts = options.part or usual
    if "pairs" in parts and not (options.against and (options.against / "scripts" / "slurmrest").is_file()):
        parser.error(f"--part pairs needs --against DIR, another checkout of this project, not {options.against}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # also where SIGINT is ignored, as under nohup
    progress = Progress()
    results = Results(RESULTS, progress)
    code = OK
    if not options.render:
        code = run(options, parts, results, progress)
    render(results)
    progress.say(f"written: {PAGE.relative_to(ROOT)}; scripts/render_docs.py has docs/gateway.md follow")
    return code


def run(options: argparse.Namespace, parts: Sequence[str], results: Results, progress: Progress) -> int:
    """Measure parts; returns the exit code."""
    try:
        engine = liveness.engine_of(None, progress)
        results.on(machine(engine))
        if set(parts) - {"deploy", "pairs"}:
            kinds = dict.fromkeys(kind for name in parts for kind in PARTS[name].kinds)
            commands.prepare(engine, options.slurm or list(SUITES), list(kinds), progress)
        for number, name in enumerate(parts, 1):
            part = PARTS[name]
            commit = commit_of() + (f" against {commit_of(options.against)}" if name == "pairs" else "")
            releases = [
                release
                for release in options.slurm or list(SUITES)
                if not (options.resume and results.complete(name, release, commit))
            ]
            progress.say(f"part {number} of {len(parts)}, {name}: {part.summary} ({', '.join(releases) or 'complete'})")
            records = {release: results.begin(name, release, commit) for release in releases}
            measure = functools.partial(part.measure, **({"against": options.against} if name == "pairs" else {}))
            measure(engine, records, options.rounds, time.monotonic() + 60 * part.minutes)
    except KeyboardInterrupt:
        progress.say("interrupted; go on with --continue")
        return INTERRUPTED
    except (SlurmrestError, commands.MeasurementError) as error:
        progress.fail(f"{error}; what was measured is kept, go on with --continue")
        return FAILED
    return OK


def render(results: Results) -> None:
    """Write page and plot."""
    PLOT.write_text(report.plot(results.data), encoding="utf-8")
    PAGE.write_text(report.page(results.data), encoding="utf-8")
