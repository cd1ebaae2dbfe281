"""Measure rotations on every release and layout, for docs/rotate.md: python -m tests.real.rotation.measure [TIMES].

Prints a table in Markdown. Run it when nothing else runs: the load of the machine before it began is printed, too.
"""

from __future__ import annotations

import os
import platform
import re
import statistics
import sys
from pathlib import Path

from testcluster.suites import SUITES
from tests.real.rotation.rotating import LAYOUTS, MEASURED, rotating

DEFAULT_TIMES = 5


def machine() -> str:
    """One line about this machine."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(encoding="utf-8"), re.MULTILINE)
    gigabytes = int(memory[1]) / 2**20 if memory else 0
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return (
        f"{os.cpu_count()} processors ({model[1] if model else platform.machine()}), {gigabytes:.0f} GiB, "
        f"Linux {platform.release()}; load before it began: {load}"
    )


def row(release: str, layout: str, times: int) -> str:
    """Rotate a fresh cluster a number of times; returns the line of the table."""
    measured = []
    with rotating(release, layout) as cluster:
        for _ in range(times):
            match = MEASURED.search(cluster.rotate().good().output)
            assert match
            measured.append([float(value) for value in match.groups()])
    cells = [f"{statistics.median(values):.2f} ({max(values):.2f})" for values in zip(*measured, strict=True)]
    return f"| {release} | {layout} | {' | '.join(cells)} |"


def main(times: int) -> None:
    """Print the table."""
    write = sys.stdout.write
    write(f"{machine()}\n\n| release | layout | changeover | no token on /slurm | no token on /slurmdb |\n")
    write("|---|---|---|---|---|\n")
    for release in SUITES:
        for layout in LAYOUTS:
            write(row(release, layout, times) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_TIMES)
