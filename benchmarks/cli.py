"""Measure this project beside a script that does the same by hand and beside the daemons' own start, and say so."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import load, measure, report
from testcluster.progress import Progress
from testcluster.suites import DEFAULT_SERIES, SUITES

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results.json"


def main(argv: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks/run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="once each, one release, nothing from the network")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default: %(default)s)")
    parser.add_argument("--slurm", choices=tuple(SUITES), action="append", help="releases (default: all of them)")
    parser.add_argument("--load", action="store_true", help="measure the service under load only, which takes long")
    parser.add_argument("--render", action="store_true", help="measure nothing, write the page from the last results")
    options = parser.parse_args(argv)
    if not options.render:
        releases = options.slurm or ([DEFAULT_SERIES] if options.quick else list(SUITES))
        rounds = 1 if options.quick else options.rounds
        results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        if options.load and "seconds" not in results:
            parser.error(f"--load adds to {RESULTS.name}: run the other benchmarks first")
        if options.load:
            results["load"] = load.everything(releases, Progress(), quick=options.quick)
        else:
            results.update(measure.everything(releases, rounds, Progress(), network=not options.quick))
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    (ROOT / "docs" / "benchmarks.svg").write_text(report.plot(results), encoding="utf-8")
    (ROOT / "docs" / "benchmarks.md").write_text(report.page(results), encoding="utf-8")
    print(report.page(results))
    return 0
