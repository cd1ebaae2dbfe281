"""The page and the plot, rendered from the raw data; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from slurmrest_toolkit.images.suites import SUITES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Samples = Mapping[str, Sequence[float]]

WIDTH, LABEL, BAR, GAP, TOP = 900, 400, 11, 10, 50
COLOURS = {"by hand": "#bc6c25", "floor": "#6c757d", "": "#2a6f97"}
"""Of a bar, by the first words of its name."""

HIDDEN = ("second deploy.yml: ", "verify.yml: ", "submit ", "cache ")
"""Beginnings of names that are in the table and not in the plot."""

INTRODUCTION = """\
# Benchmarks

Written by `benchmarks/run` from `docs/data/benchmarks.json`; `benchmarks/run --render` writes it again, and
`benchmarks/run --part NAME` measures one part anew. Within a round everything is measured once, one after the other, so
that what disturbs one disturbs all; `--part pairs --against DIR` measures another checkout beside this one. Nothing is
left out that the user waits for:

- **warm up**: `slurmrest cluster up` from the command to its end, when images of converged nodes are there: Python's
  start, network, containers, new keys, daemons, all checks of the verification, and two jobs (one completed, one
  cancelled). Jobs wait for slurmctld's scheduler, so the time without them is given too. *Container start to both
  diags* goes from before the network is made until `/slurm/…/diag` and `/slurmdb/…/diag` answer 200.
- **by hand**: `benchmarks/by_hand.sh`, the quick start as a shell script, on the same kind of container, until the same
  two answers. It proves nothing, and its cluster is not hardened.
- **floor**: the daemons stopped and started again in a running node, until the same two answers.
- **second deploy.yml**: nothing changes, which is checked; the closing verification is in. On 5 and 20 hosts one is the
  controller, one has slurmdbd, and the others serve REST; 7 and 22 containers share the processors with Ansible.
- **processor time** is what processors worked for a run, on the controller and in the containers. Others on the same
  machine make a run longer, and this hardly; on a quiet machine with one host it is close to the time of the run.
- **first**: on a bare container, with packages from the network, `cluster.yml` and `deploy.yml` as against the script.
  They run 24 modules; what Ansible takes for as many that do nothing is measured, too: together with what the script
  does by hand it is the least that a playbook can take.
"""

PHASES = {
    "host": "host and engine, images found",
    "nodes": "network, containers, keys",
    "daemons": "daemons until both diags",
    "verify": "checks over HTTP",
    "job": "two jobs",
}

BUSY_SHARE = 0.25
"""Of the processors, used by others: above that, only processor time, memory and counts are shown."""

SHOWN_BYTES, SHOWN_SECONDS = 4 * 2**20, 0.05
"""Programs and tasks below that are not shown by name."""

FLOORS = """\
What is below what we can change:

- **The first job** of a cluster starts in the first round of the backfill scheduler, one second after slurmctld's
  start (the main scheduler's is after three: it knows no `batch_sched_delay` until then), later ones at a full second.
- **MariaDB** takes 70 MiB with the smallest settings: 23 are its program, 46 what it allocates at its start.
  **slurmrestd** has 24 or 47 MiB after the verification, by how many of its threads have answered.
- **The file of the cache**: zstd makes 93 MB of the warm image at level 3, 82 at 9, 81 at 15 (which takes 86 s).
- **A second deploy.yml** of one host keeps the controller's processor busy for 3.7 s. Of these 0.45 are Python reading
  Ansible, 1.25 the process that reads playbooks and roles and hands out tasks, 2.0 the 15 processes of tasks. Each of
  these compiles the expressions of the variables that it needs: 438 in all, 0.64 s, what one has compiled no other has.
  The two that look and verify pack the files of their modules, 0.75 s. As many tasks that do nothing take 1.5 s.
"""

PAIRS = """\
## As against another checkout, {release}

Commit {commits}: each measured with a cluster of its own, one after the other, the first one in turns. Ratios are
those of each pair, so that others on the machine ({busy:.0f} % of the processors in the median) disturb both.
"""

MODULES = """\
What each module brings along to a host, with every run, and the processor time that a Python there takes to import it
(its own start, what the module then does, and Ansible's own part are left out):
"""

RATIOS = {"second deploy.yml": 0.6, "second deploy.yml: processor time of both": 0.5}
"""The most that ours may take of what the build before the last round took."""

LOAD = """\
## Under load

`benchmarks/run --part load`: clients in the REST node, so that they share its processors, each with one connection that
it keeps as long as the daemon does, for two seconds; failures are answers other than 200, broken connections, and
answers that took more than 20 s. *Peak* is the most resident memory of slurmrestd meanwhile.

How the defaults were chosen:

- **Threads**: short answers (diag) need no more memory with more threads. A list of jobs does: each thread holds the
  list that it prepares, about 0.14 MiB a job, and that memory is not given back, so the peak grows with threads and
  jobs. Lists that are begun at the same time share the processors and end together, late: of 16 begun at once, those of
  20 threads all ran into the client's time-out, and with four threads most were answered. Newer releases start twice as
  many threads as there are processors. The role asks those that start twenty on any host for the same number, from 4 to
  20; `slurmrestd_service_threads: 0` leaves it to the daemon.
- **Connections**: idle ones count against the limit, and cost little: the role asks for more than the vendor where the
  release has a limit to set (`slurmrestd_service_max_connections`).
"""


@dataclass(frozen=True)
class Bar:
    """What was promised: a name, and how to find out from the medians of a release; None where it was not measured."""

    name: str
    limit: float
    unit: str
    measured: Callable[[Mapping[str, float]], float | None]


def one(name: str) -> Callable[[Mapping[str, float]], float | None]:
    """Return a function that finds a measurement."""
    return lambda medians: medians.get(name)


def ratio(over: str, under: str) -> Callable[[Mapping[str, float]], float | None]:
    """Return a function that divides one measurement by another."""
    return lambda medians: medians[over] / medians[under] if over in medians and under in medians else None


def each_further(medians: Mapping[str, float]) -> float | None:
    """Return what each host beyond the first costs, in parts of what one host costs."""
    alone, many = medians.get("second deploy.yml, 1 host"), medians.get("second deploy.yml, 20 hosts")
    return (many - alone) / 19 / alone if alone and many else None


BARS = (
    Bar("warm up, single, with two jobs", 3, "s", one("warm up")),
    Bar("warm up, single, all but the jobs", 2, "s", one("warm up: without the job check")),
    Bar("container start to both diags", 2.5, "s", one("warm up: container start to both diags")),
    Bar("warm up, split, two compute nodes", 5, "s", one("warm up, split, 5 containers")),
    Bar(
        "first deployment, as against by hand",
        1.5,
        "times",
        ratio("first cluster.yml and deploy.yml, packages from the network", "by hand, packages from the network"),
    ),
    Bar("second deploy.yml, 1 host", 5, "s", one("second deploy.yml, single node")),
    Bar("of that the verification", 1, "s", one("second deploy.yml: the verification in it")),
    Bar("second deploy.yml, 5 hosts", 12, "s", one("second deploy.yml, 5 hosts")),
    Bar("each further host, as against one", 0.5, "times", each_further),
    Bar("verify.yml without a job", 3, "s", one("verify.yml without a job")),
    Bar("memory of an idle single node", 120, "MiB", one("memory")),
    Bar("image, warm, single", 450, "MB", one("image")),
    Bar("cache file", 80, "MB", one("file")),
)


def records(results: Mapping[str, Any], part: str) -> dict[str, Mapping[str, Any]]:
    """Return the records of a part by release, in the order of releases."""
    there = results["parts"].get(part, {})
    return {release: there[release] for release in SUITES if release in there}


def busy(record: Mapping[str, Any]) -> bool:
    """Did others use the processors so much that seconds of this record say nothing?"""
    return bool(record["others"]) and median(record["others"]) > BUSY_SHARE


def samples(results: Mapping[str, Any]) -> dict[str, dict[str, Sequence[float]]]:
    """Return all measurements that say something: name, release, samples."""
    found: dict[str, dict[str, Sequence[float]]] = {}
    for part in results["parts"]:
        for release, record in records(results, part).items():
            for name, values in record["seconds"].items():
                if not busy(record) or "processor time" in name:
                    found.setdefault(name, {})[release] = values
    return found


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def cell(values: Sequence[float]) -> str:
    """Return median, and least to greatest where there are several."""
    if not values:
        return ""
    middle = f"{median(values):.2f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.2f} to {max(values):.2f})"


def page(results: Mapping[str, Any]) -> str:
    """Return docs/benchmarks.md."""
    found = samples(results)
    releases = [release for release in SUITES if any(release in values for values in found.values())]
    rows = [[name, *(cell(values.get(release, ())) for release in releases)] for name, values in found.items()]
    parts = [
        INTRODUCTION,
        "![Medians with least and greatest](benchmarks.svg)\n",
        "Median seconds (least to greatest):\n",
        table(["", *releases], rows),
        "## What was promised\n\nEmpty where it was not measured on a quiet machine; bold where the bar is missed.\n",
        promises({**found, **occupied(results)}, releases),
        FLOORS,
        *pairs(results),
        *phases(results),
        *tasks(results),
        *memory(results),
        *load(results),
        "## The machine\n",
        conditions(results),
    ]
    return "\n".join(parts)


def occupied(results: Mapping[str, Any]) -> dict[str, dict[str, Sequence[float]]]:
    """Return what a node and its image occupy, as measurements are: name, release, one sample in MiB or MB."""
    found: dict[str, dict[str, Sequence[float]]] = {"memory": {}, "image": {}, "file": {}}
    for release, record in records(results, "sizes").items():
        if {"memory", "images", "archive"} <= {*record}:
            found["memory"][release] = [sum(sizes["pss"] for sizes in record["memory"].values()) / 2**20]
            found["image"][release] = [record["images"].get("warm, single", 0) / 1e6]
            found["file"][release] = [record["archive"] / 1e6]
    return found


def promises(found: Mapping[str, Mapping[str, Sequence[float]]], releases: Sequence[str]) -> str:
    """Return the table of the bars, with what misses one in bold."""
    rows = []
    for bar in BARS:
        cells = []
        for release in releases:
            medians = {name: median(values[release]) for name, values in found.items() if values.get(release)}
            value = bar.measured(medians)
            text = "" if value is None else f"{value:.2f}"
            cells.append(f"**{text}**" if value is not None and value > bar.limit else text)
        rows.append([bar.name, f"{bar.limit:g} {bar.unit}", *cells])
    return table(["", "at most", *releases], rows)


def pairs(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield what this checkout took as against another one: what disturbs one of a pair disturbs the other."""
    for release, record in records(results, "pairs").items():
        yield PAIRS.format(release=release, commits=record["commit"], busy=100 * median(record["others"] or [0]))
        rows = []
        for name, found in record["pairs"].items():
            ratios = [ours / theirs for ours, theirs in found if theirs]
            limit = RATIOS.get(name)
            missed = limit is not None and bool(ratios) and median(ratios) > limit
            shown = f"**{cell(ratios)}**" if missed else cell(ratios)
            sides = (f"{median(side):.2f}" for side in zip(*found, strict=True))
            rows.append([name, *sides, shown, "" if limit is None else limit, len(found)])
        yield table(["median seconds", "ours", "theirs", "ratio (least to greatest)", "at most", "pairs"], rows)
        if "modules" in record:
            yield MODULES
            yield table(["", "kB, ours", "theirs", "ms, ours", "theirs"], list(shipped(record["modules"])))


def shipped(modules: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Iterator[list[str]]:
    """Yield the row of each module that runs on hosts: what it ships, and what reading that takes there."""
    for name, sides in sorted(modules.items()):
        cells = (
            f"{sides[side][what]:.0f}" if side in sides else ""
            for what in ("kilobytes", "milliseconds")
            for side in ("ours", "theirs")
        )
        yield [f"`{name}`", *cells]


def phases(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield where the time of a warm start goes."""
    there = records(results, "start").items()
    measured = {release: record["phases"] for release, record in there if "phases" in record and not busy(record)}
    if measured:
        yield "## Where the time of a warm start goes\n"
        yield table(
            ["median seconds", *measured],
            [
                [words, *(f"{median([run[phase] for run in runs]):.2f}" for runs in measured.values())]
                for phase, words in PHASES.items()
            ],
        )


def tasks(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield where the time of the second deploy.yml and of the first deployment goes, on one release."""
    yield from profile(results, "start", "second deploy.yml, single node")
    yield from profile(results, "first", "first cluster.yml and deploy.yml, packages from the network")


def profile(results: Mapping[str, Any], part: str, name: str) -> Iterator[str]:
    """Yield where the time of one run of playbooks goes: the last one of this name, on the latest release."""
    for release, record in reversed(records(results, part).items()):
        if "tasks" in record and not busy(record):
            whole = record["seconds"][name][-1]
            shown = [
                [name.replace(" |", ":"), f"{seconds:.2f}"]
                for name, seconds in record["tasks"]
                if seconds >= SHOWN_SECONDS
            ]
            start = whole - sum(seconds for _, seconds in record["tasks"])
            rest = sum(seconds for _, seconds in record["tasks"] if seconds < SHOWN_SECONDS)
            yield f"## Where the time goes: {name} ({release}, one run of {whole:.2f} s)\n"
            rows = [["start of ansible-playbook", f"{start:.2f}"], *shown, ["all other tasks", f"{rest:.2f}"]]
            yield table(["", "seconds"], rows)
            return


def memory(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a cluster occupies."""
    measured = {
        release: record for release, record in records(results, "sizes").items() if {"memory", "images"} <= {*record}
    }
    if not measured:
        return
    columns = measured.values()
    programs = dict.fromkeys(
        name for column in columns for name, sizes in column["memory"].items() if sizes["pss"] >= SHOWN_BYTES
    )
    rows = [
        ["resident, all processes (MiB)", *(mebibytes(column["memory"].values(), "rss") for column in columns)],
        ["shared pages counted once", *(mebibytes(column["memory"].values(), "pss") for column in columns)],
    ]
    for name in programs:
        entries = [column["memory"].get(name, {"pss": 0}) for column in columns]
        rows.append([f"of that {name}", *(mebibytes([entry], "pss") for entry in entries)])
    kinds = next(iter(measured.values()))["images"]
    rows += [[f"image, {kind} (MB)", *(f"{column['images'][kind] / 1e6:.0f}" for column in columns)] for kind in kinds]
    files = [f"{column['archive'] / 1e6:.0f}" if "archive" in column else "" for column in columns]
    rows.append(["cache file (MB)", *files])
    yield "## Memory of an idle single node, and disk\n"
    yield table(["", *measured], rows)


def mebibytes(entries: Any, kind: str) -> str:
    """Add up bytes."""
    return f"{sum(entry[kind] for entry in entries) / 2**20:.0f}"


def load(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield the requests a second."""
    head = ["setting", "jobs", "path", "over", "clients", "requests/s", "p50 ms", "p99 ms", "failed", "peak MiB"]
    begun = False
    for part in ("load", "threads"):
        for release, record in records(results, part).items():
            if not begun:
                yield LOAD
                begun = True
            yield f"### {release}{', numbers of threads' if part == 'threads' else ''}\n"
            yield table(head, [load_cells(row, blank=busy(record)) for row in record.get("rows", [])])


def load_cells(row: Mapping[str, Any], *, blank: bool) -> list[object]:
    """Return a row of the table, without its times where they say nothing."""
    keys = ("setting", "jobs", "path", "over", "clients")
    rate = row["requests"] / row["seconds"]
    times = [f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}", row["p50"], row["p99"]]
    return [*(row[key] for key in keys), *([""] * len(times) if blank else times), row["failures"], row["peak_mib"]]


def conditions(results: Mapping[str, Any]) -> str:
    """Return the machine, and for each part when it was measured and how quiet it was then."""
    rows = []
    for part in results["parts"]:
        for release, record in records(results, part).items():
            others = record["others"]
            rows.append(
                [
                    part,
                    release,
                    record["date"],
                    record["commit"],
                    "yes" if record["complete"] else "**no**",
                    f"{100 * median(others):.0f} % ({100 * max(others):.0f} %)" if others else "",
                ]
            )
    quiet = (
        f"Where others used more than {100 * BUSY_SHARE:.0f} % of the processors, times are left out above: they would "
        "say nothing. They are in the raw data.\n"
    )
    described = "; ".join(f"{key}: {value}" for key, value in results["machine"].items())
    return f"{described}.\n\n{quiet}\n" + table(
        ["part", "release", "date", "commit", "complete", "processors used by others, median (most)"], rows
    )


def plot(results: Mapping[str, Any]) -> str:
    """Return a bar for each measurement and release, to the median, with a line from least to greatest, as SVG."""
    shown = {name: values for name, values in samples(results).items() if not name.startswith(HIDDEN)}
    longest = max((max(series) for values in shown.values() for series in values.values()), default=1.0)
    scale = (WIDTH - LABEL - 90) / longest
    height = TOP + sum(BAR * len(values) + GAP for values in shown.values())
    size = f'width="{WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        f'<rect {size} fill="white"/>',
        f'<text x="{LABEL}" y="20">seconds: median, and a line from the least to the greatest</text>',
        f'<text x="{LABEL}" y="36" fill="#666">ours blue, by hand brown, the daemons alone grey</text>',
    ]
    top = TOP
    for name, values in shown.items():
        middle_of_group = top + BAR * len(values) / 2 + 4
        parts.append(f'<text x="{LABEL - 48}" y="{middle_of_group:.0f}" text-anchor="end">{escape(name)}</text>')
        colour = next(colour for begin, colour in COLOURS.items() if name.startswith(begin))
        for release, series in values.items():
            middle = median(series)
            left, right = LABEL + min(series) * scale, LABEL + max(series) * scale
            line = top + (BAR - 2) / 2
            parts += [
                f'<text x="{LABEL - 6}" y="{top + 9}" text-anchor="end" font-size="9" fill="#666">{release}</text>',
                f'<rect x="{LABEL}" y="{top}" width="{middle * scale:.1f}" height="{BAR - 2}" fill="{colour}"/>',
                f'<line x1="{left:.1f}" x2="{right:.1f}" y1="{line:.1f}" y2="{line:.1f}" stroke="black"/>',
                f'<text x="{right + 4:.1f}" y="{top + 9}" font-size="9">{middle:.2f}</text>',
            ]
            top += BAR
        top += GAP
    return "\n".join([*parts, "</svg>", ""])
