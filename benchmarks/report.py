"""The page and the plot, rendered from the raw data; no I/O."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from benchmarks import load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, LABEL, ROW, MARGIN = 900, 440, 22, 40
COLOURS = {"warm": "#2a6f97", "by hand": "#bc6c25", "floor": "#6c757d"}
OTHER = "#588157"

INTRODUCTION = """\
# Benchmarks

Written by `benchmarks/run` from `benchmarks/results.json`; `benchmarks/run --render` writes it again. Each round
measures everything once, and nothing is left out that the user waits for:

- **warm up**: `slurmrest cluster up` from the command to its end, when images of converged nodes are there: Python's
  start, network, containers, new keys, daemons, all checks of the verification, and a job. The job waits for the first
  scheduling cycle of slurmctld, so the time without it is given too; *container start to both diags* goes from the call
  that starts the containers until `/slurm/…/diag` and `/slurmdb/…/diag` answer 200.
- **by hand**: `benchmarks/by_hand.sh`, the quick start as a shell script, on the same kind of container, until the same
  two answers. It proves nothing, and its cluster is not hardened.
- **floor**: the daemons stopped and started again in a running node, until the same two answers.
- **second deploy.yml**: nothing changes; the closing verification is in.
"""


LOAD = """\
## Under load

`benchmarks/run --load`: clients in the REST node, so that they share its processors, each with one connection that it
keeps, five seconds each; 1000 jobs wait in the queue.
"""


def summarise(samples: Sequence[float]) -> tuple[float, float, float]:
    """Return median, least and greatest of some measurements."""
    return median(samples), min(samples), max(samples)


def releases_of(results: Mapping[str, Any]) -> list[str]:
    """Return the Slurm series that were measured, in their order."""
    return list(dict.fromkeys(name.partition(" ")[0] for name in results["seconds"]))


def page(results: Mapping[str, Any]) -> str:
    """Return docs/benchmarks.md."""
    releases = releases_of(results)
    names = list(dict.fromkeys(name.partition(" ")[2] for name in results["seconds"]))
    lines = [INTRODUCTION]
    if results["busy"]:
        lines.append("**The machine was busy with other work when this was measured: the numbers are too high.**\n")
    lines += ["![Medians with least and greatest](benchmarks.svg)\n", "Median seconds (least to greatest):\n"]
    lines += [f"| | {' | '.join(releases)} |", "|---|" + "---|" * len(releases)]
    for name in names:
        cells = [cell(results["seconds"].get(f"{release} {name}", [])) for release in releases]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", f"| | {' | '.join(results['sizes'])} |", "|---|" + "---|" * len(results["sizes"])]
    for name in next(iter(results["sizes"].values())):
        lines.append(f"| {name} | {' | '.join(sizes[name] for sizes in results['sizes'].values())} |")
    machine = "; ".join(f"{key}: {value}" for key, value in results["machine"].items())
    lines += [
        "",
        f"Machine: {machine}. Rounds: {results['rounds']}.",
        f"Load average before: {results['load_before']:.1f}, median while measuring: {results['load_median']:.1f}.",
        "",
    ]
    if "load" in results:
        lines += [LOAD, load.table(results["load"])]
    return "\n".join(lines)


def cell(samples: Sequence[float]) -> str:
    """Return a cell of the table."""
    if not samples:
        return ""
    middle, least, greatest = summarise(samples)
    return f"{middle:.2f}" if len(samples) == 1 else f"{middle:.2f} ({least:.2f} to {greatest:.2f})"


def plot(results: Mapping[str, Any]) -> str:
    """Return a bar for each measurement, to the median, with a line from the least to the greatest, as SVG."""
    rows = [(name, summarise(samples)) for name, samples in results["seconds"].items()]
    longest = max(greatest for _, (_, _, greatest) in rows)
    scale = (WIDTH - LABEL - 80) / longest
    height = MARGIN + ROW * len(rows) + 10
    size = f'width="{WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        f'<rect {size} fill="white"/>',
        f'<text x="{LABEL}" y="20">seconds, median, least to greatest</text>',
    ]
    for number, (name, (middle, least, greatest)) in enumerate(rows):
        top = MARGIN + ROW * number
        colour = next((value for key, value in COLOURS.items() if f" {key}" in name), OTHER)
        left, right = LABEL + least * scale, LABEL + greatest * scale
        parts += [
            f'<text x="{LABEL - 8}" y="{top + 13}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LABEL}" y="{top}" width="{middle * scale:.1f}" height="{ROW - 6}" fill="{colour}"/>',
            f'<line x1="{left:.1f}" x2="{right:.1f}" y1="{top + 8}" y2="{top + 8}" stroke="black"/>',
            f'<text x="{right + 6:.1f}" y="{top + 13}">{middle:.2f}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
