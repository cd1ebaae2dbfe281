"""Measure rotations for docs/rotate.md: python -m tests.real.rotation.measure [TIMES] [--release R] [--layout L].

Adds to docs/data/rotation.json, from which scripts/render_docs.py makes the table. Run it when nothing else runs: the
load of the machine before each rotation is kept, too.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from benchmarks.results import hardware
from slurmrest_toolkit.clusters.state import load
from slurmrest_toolkit.images.suites import SUITES
from tests.real.clusters import ROOT
from tests.real.rotation.rotating import LAYOUTS, MEASURED, rotating

DEFAULT_TIMES = 5
DATA = ROOT / "docs" / "data" / "rotation.json"


def machine() -> str:
    """Name this machine in one line."""
    model, memory, kernel = hardware()
    return f"{os.cpu_count()} processors ({model}), {memory}, Linux {kernel}"


def measured(release: str, layout: str, times: int) -> dict[str, Any]:
    """Rotate a fresh cluster a number of times; seconds of each rotation, and the load before it."""
    found = []
    with rotating(release, layout) as cluster:
        state = load(cluster.live.name)
        assert state is not None
        for _ in range(times):
            before = os.getloadavg()[0]
            match = MEASURED.search(cluster.rotate().good().output)
            assert match
            changeover, slurm, slurmdb = map(float, match.groups())
            found.append({"changeover": changeover, "slurm": slurm, "slurmdb": slurmdb, "load": round(before, 2)})
    return {"slurm_version": state.slurm_version, "rotations": found}


def main(arguments: argparse.Namespace) -> None:
    """Measure what was asked for; each result is kept at once."""
    for release in arguments.release or SUITES:
        for layout in arguments.layout or LAYOUTS:
            result = measured(release, layout, arguments.times)
            data = json.loads(DATA.read_text(encoding="utf-8"))
            data["machine"] = machine()
            data["releases"].setdefault(release, {})[layout] = result
            DATA.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
            sys.stdout.write(f"{release} {layout}: {json.dumps(result['rotations'])}\n")
            sys.stdout.flush()


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("times", nargs="?", type=int, default=DEFAULT_TIMES, help="rotations of each (%(default)s)")
    parser.add_argument("--release", action="append", choices=SUITES)
    parser.add_argument("--layout", action="append", choices=LAYOUTS)
    return parser.parse_args()


if __name__ == "__main__":
    main(parse())
