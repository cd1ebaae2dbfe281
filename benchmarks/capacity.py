"""What a gateway makes of slurmrestd, from the raw data: each bar beside what was measured; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import StatisticsError, median
from typing import TYPE_CHECKING, Any

from slurmrest_toolkit.images.suites import SUITES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Results = Sequence[Mapping[str, Any]]
    Shown = tuple[float, str]


@dataclass(frozen=True)
class Bar:
    """What was promised; ``measured`` gives the value for a release's record, and what it is made of.

    ``least`` says that more is better.
    """

    name: str
    limit: float
    measured: Callable[[Mapping[str, Any]], Shown]
    least: bool = False

    def cell(self, record: Mapping[str, Any]) -> str:
        """Return what was measured, in bold where it misses the bar; empty where nothing was, or nothing answered."""
        try:
            value, parts = self.measured(record)
        except (KeyError, IndexError, StatisticsError, TypeError, ZeroDivisionError):
            return ""
        missed = value < self.limit if self.least else value > self.limit
        text = short(value)
        return (f"**{text}**" if missed else text) + (f" ({parts})" if parts else "")


def short(value: float) -> str:
    """Write a number with two digits behind the point where it is small."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def rate(result: Mapping[str, Any]) -> float:
    """Return good answers a second."""
    return float(result["requests"] / result["seconds"])


def paired(name: str, of: Callable[[Mapping[str, Any]], float]) -> Callable[[Mapping[str, Any]], Shown]:
    """Return a function that compares the gateway with the daemon alone, round by round."""

    def measured(record: Mapping[str, Any]) -> Shown:
        alone, gateway = ([of(result) for result in record["found"][name][side]] for side in ("alone", "gateway"))
        ratios = [ours / theirs for ours, theirs in zip(gateway, alone, strict=True)]
        return median(ratios), f"{short(median(alone))} → {short(median(gateway))}"

    return measured


def work(name: str) -> Callable[[Mapping[str, Any]], Shown]:
    """Return a function that compares what processors work for a request through the gateway and past it."""

    def measured(record: Mapping[str, Any]) -> Shown:
        each = {
            side: sum(result["worked"] for result in results) / sum(result["requests"] for result in results)
            for side, results in record["found"][name].items()
        }
        return each["gateway"] / each["alone"], f"{1000 * each['alone']:.2f} → {1000 * each['gateway']:.2f} ms"

    return measured


def single(name: str, of: Callable[[Mapping[str, Any]], float]) -> Callable[[Mapping[str, Any]], Shown]:
    """Return a function that gives the gateway's value, with that of the daemon alone beside it."""

    def measured(record: Mapping[str, Any]) -> Shown:
        found = record["found"][name]
        return of(found["gateway"][0]), f"alone {short(of(found['alone'][0]))}"

    return measured


def memory(record: Mapping[str, Any]) -> Shown:
    """Return the peak with many clients through the gateway in parts of that with one client alone."""
    found = record["found"]
    one, many = found["one"]["alone"][0]["peak_mib"], found["memory"]["gateway"][0]["peak_mib"]
    crowd = found.get("memory", {}).get("alone")
    return many / one, f"{one} → {many} MiB" + (f"; 200 alone {crowd[0]['peak_mib']}" if crowd else "")


def start(record: Mapping[str, Any]) -> Shown:
    """Return the median seconds of a start of nginx."""
    return median(record["seconds"]["start of a gateway to its first 200"]), ""


def warm(record: Mapping[str, Any]) -> Shown:
    """Return what a gateway adds to a warm start of a cluster, pair by pair."""
    seconds = record["up"]["seconds"]
    without, beside = (seconds[f"cluster up, warm, {word} a gateway"] for word in ("without", "with"))
    ratios = [ours / theirs for ours, theirs in zip(beside, without, strict=False)]
    return median(ratios), f"{median(without):.1f} → {median(beside):.1f} s"


BARS = (
    Bar("diag, 16 clients, each request to slurmrestd: requests a second, ratio", 0.7, paired("uncached", rate), True),
    Bar("and their median milliseconds, ratio", 1.4, paired("uncached", lambda result: float(result["p50"]))),
    Bar("and the processors' work for each (1 / 0.7), ratio", 1.43, work("uncached")),
    Bar("diag, 16 clients of one user: requests a second, ratio", 15, paired("diag", rate), True),
    Bar("and the processors' work for each (1 / 15), ratio", 0.067, work("diag")),
    Bar("1000 jobs, 16 clients of one user: requests a second, ratio", 15, paired("jobs", rate), True),
    Bar("and the processors' work for each (1 / 15), ratio", 0.067, work("jobs")),
    Bar(
        "diag, 200 clients of one user: requests a second that reach slurmctld",
        1,
        single("crowd", lambda result: float(result["reached"] / result["seconds"])),
    ),
    Bar("a ping beside 12 readers of lists: median milliseconds", 100, single("ping", lambda found: found["p50"])),
    Bar(
        "6 clients that give up 2000 jobs after 0.3 s: requests that reach slurmctld, ratio",
        0.05,
        paired("impatient", lambda result: float(result["reached"])),
    ),
    Bar("and a ping afterwards: seconds", 1, single("impatient", lambda result: float(result["ping"] / 1000))),
    Bar("most memory of slurmrestd, 2000 jobs, 200 clients as against one, ratio", 1.3, memory),
    Bar("from the start of nginx to its first 200: seconds", 1, start),
    Bar("`cluster up`, warm, with a gateway as against without, ratio", 1.5, warm),
)


def table(results: Mapping[str, Any]) -> str:
    """Return the table of all bars by release, or that there is nothing yet."""
    parts = [results["parts"].get(name, {}) for name in ("gateway", "gateway_up")]
    known = {
        release: {**parts[0].get(release, {"seconds": {}, "found": {}}), "up": parts[1].get(release, {"seconds": {}})}
        for release in SUITES
        if any(release in part for part in parts)
    }
    if not known:
        return "Not measured yet."
    lines = [("", "bar", *known), ("---",) * (2 + len(known))]
    for bar in BARS:
        limit = f"{'at least' if bar.least else 'at most'} {bar.limit:g}"
        lines.append((bar.name, limit, *map(bar.cell, known.values())))
    lines.append(("processors used by others meanwhile, median", "", *map(others, known.values())))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def others(record: Mapping[str, Any]) -> str:
    """Return how much of the processors others had; empty where nobody looked."""
    shares = record.get("others") or record["up"].get("others")
    return f"{100 * median(shares):.0f} %" if shares else ""
