"""A verification report as one HTML page: no scripts, nothing loaded from elsewhere, light and dark. Pure."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape

from ..errors import InputError
from ..slurm.releases import lookup
from .capacity import Latency
from .judgement import Sections
from .run import Report, Result

_WORDS = {True: "ok", False: "failed", None: "skipped"}
_BARS = 120  # more samples than this are shown by their quantiles
_PLOT_WIDTH, _PLOT_HEIGHT, _PLOT_LEFT, _PLOT_RIGHT, _PLOT_BOTTOM = (
    720,
    220,
    52,
    56,
    26,
)  # of the drawing, in its own units
_STEPS = (1, 2, 5, 10)

_STYLE = """
:root { color-scheme: light dark; --paper: #f6f7f9; --card: #fff; --ink: #1b2430; --soft: #5c6877; --line: #dfe4ea;
  --ok: #1a7f4b; --ok-bg: #e0f3e8; --failed: #b42318; --failed-bg: #fde5e2; --skipped: #7a5b00; --skipped-bg: #fbf0cf;
  --bar: #3b6fd4; --median: #b42318; }
@media (prefers-color-scheme: dark) { :root { --paper: #11161d; --card: #1a212b; --ink: #e6ebf1; --soft: #9aa7b6;
  --line: #2c3644; --ok: #6fd39c; --ok-bg: #14352491; --failed: #ff9b8f; --failed-bg: #4a1c1891; --skipped: #e7c761;
  --skipped-bg: #40350f91; --bar: #6f9cf0; --median: #ff9b8f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .7rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); }
code { font: .92em ui-monospace, monospace; overflow-wrap: anywhere; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.2rem; }
header.card { border-left: .45rem solid var(--ok); } header.failed { border-left-color: var(--failed); }
.figures { display: flex; flex-wrap: wrap; gap: .4rem 1.6rem; margin-top: .8rem; }
.figures b { font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.warning { background: var(--failed-bg); color: var(--failed); border-color: var(--failed); font-weight: 600;
  margin-top: 1rem; }
.pill { display: inline-block; min-width: 4.6rem; text-align: center; border-radius: 1rem; padding: .05rem .6rem;
  font-size: .85rem; font-weight: 600; }
.pill.ok { color: var(--ok); background: var(--ok-bg); }
.pill.failed { color: var(--failed); background: var(--failed-bg); }
.pill.skipped { color: var(--skipped); background: var(--skipped-bg); }
.card.checks { list-style: none; margin: 0; padding: .2rem 1.2rem; }
.checks li { display: grid; grid-template-columns: 5.6rem 1fr auto; gap: .1rem .9rem; padding: .7rem 0;
  border-top: 1px solid var(--line); } .checks li:first-child { border-top: 0; }
.checks p { margin: 0; overflow-wrap: anywhere; }
.checks .time { color: var(--soft); font-variant-numeric: tabular-nums; }
.advice { margin: .35rem 0 0; padding: .45rem .7rem;
  border-left: 3px solid var(--failed); background: var(--failed-bg); }
.skipped .advice { border-color: var(--skipped); background: var(--skipped-bg); }
table { width: 100%; border-collapse: collapse; } th, td { text-align: left; vertical-align: top; padding: .3rem .5rem;
  border-top: 1px solid var(--line); overflow-wrap: anywhere; } tr:first-child > * { border-top: 0; }
th { width: 15rem; font-weight: 500; color: var(--soft); }
svg { width: 100%; height: auto; display: block; } svg text { font: 12px system-ui, sans-serif; fill: var(--soft); }
svg .grid { stroke: var(--line); } svg .bar { fill: var(--bar); } svg .median { stroke: var(--median);
  stroke-dasharray: 5 4; }
svg text.median-label { fill: var(--median); }
@media (max-width: 40rem) { .checks li { grid-template-columns: 1fr auto; }
  .checks .body { grid-column: 1 / -1; order: 3; }
  th { width: 9rem; } }
@media print { body { background: #fff; } .card { break-inside: avoid; } }
"""


def render_html(report: Report, sections: Sections | None = None, now: float | None = None) -> str:
    """The report as a page. `sections` are more tables, such as :func:`.judgement.configuration`; `now` is in seconds.

    Everything that a daemon said is escaped, and the page's policy forbids scripts and anything from the network.
    """
    tables = {**_known(report), **(sections or {})}
    body = [*_header(report, time.time() if now is None else now), "<h2>Checks</h2>", *_checks(report.checks)]
    if report.latency:
        body += ["<h2>Latency of diag</h2>", *_latency(report.latency)]
    for title, rows in tables.items():
        body += [f"<h2>{escape(title)}</h2>", *_table(rows)]
    body += ["<h2>Limitations</h2>", '<div class="card">', *(f"<p>{escape(item)}</p>" for item in report.limitations)]
    body.append("</div>")
    title = escape(f"{'All good' if report.ok else 'FAILED'}: {report.url}")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title>",
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body>",
            "<main>",
            *body,
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _header(report: Report, now: float) -> Iterator[str]:
    counts = {word: sum(check.ok is ok for check in report.checks) for ok, word in _WORDS.items()}
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    yield f'<header class="card {"" if report.ok else "failed"}">'
    yield f"<h1>{escape(report.url)}: {'all good' if report.ok else 'failed'}</h1>"
    yield f'<p class="soft">Slurm {escape(report.slurm_version or "of unknown version")}, verified {when}</p>'
    failed = ", ".join(check.id for check in report.checks if check.ok is False)
    if failed:
        yield f"<p>Failed: <strong>{escape(failed)}</strong></p>"
    yield '<div class="figures">'
    figures = {**counts, "requests": report.requests, "seconds": f"{report.seconds:.2f}"}
    yield from (f"<span><b>{value}</b> {word}</span>" for word, value in figures.items())
    yield "</div></header>"
    yield from (f'<p class="card warning" role="alert">{escape(warning)}</p>' for warning in report.warnings)


def _checks(checks: Iterable[Result]) -> Iterator[str]:
    yield '<ul class="card checks">'
    for check in checks:
        word = _WORDS[check.ok]
        yield f'<li class="{word}"><div><span class="pill {word}">{word}</span></div>'
        yield f'<div class="body"><p><strong>{escape(check.id)}</strong>'
        yield f'<span class="soft">{escape(check.title)}</span></p>'
        yield f"<p>{escape(check.detail)}</p>"
        requests = dict.fromkeys(f"{exchange.method} {exchange.path}" for exchange in check.exchanges)
        if requests:
            yield f'<p class="soft">{", ".join(f"<code>{escape(request)}</code>" for request in requests)}</p>'
        advice = [("Cause", check.cause), ("Remedy", check.remedy)]
        lines = [f"<b>{name}:</b> {escape(words)}" for name, words in advice if words]
        if lines:
            yield f'<p class="advice">{"<br>".join(lines)}</p>'
        yield f'</div><div class="time">{f"{check.seconds:.3f} s" if check.exchanges else ""}</div></li>'
    yield "</ul>"


def _table(rows: Mapping[str, str]) -> Iterator[str]:
    yield '<div class="card"><table>'
    for name, value in rows.items():
        yield f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
    yield "</table></div>"


def _known(report: Report) -> Sections:
    """What was asked, and what the release table knows of the release that answered."""
    exchanges = [exchange for check in report.checks for exchange in check.exchanges]
    asked = {
        "Listeners": " ".join(dict.fromkeys(exchange.target.url for exchange in exchanges)),
        "API versions served": " ".join(report.api_versions),
        "API version used": report.api_version or "",
        "Users": " ".join(dict.fromkeys(exchange.user for exchange in exchanges if exchange.user)),
    }
    tables = {"What was asked": {name: value for name, value in asked.items() if value}}
    try:
        release = lookup(report.slurm_version or "").release
    except InputError:
        return tables
    tables[f"What Slurm {release.series} is known for"] = {
        "API versions": " ".join(release.api_versions),
        "Gone with the next upgrade": " ".join(release.deprecated_api) or "none announced",
        "Without a token": str(release.no_token_status),
        "With a bad token": str(release.bad_token_status),
        "With slurmctld down": str(release.ctld_down_status),
        "Connections at once": f"{release.default_max_connections} by default",
    }
    return tables


def _latency(samples: Sequence[float]) -> Iterator[str]:
    """A bar for each sample, in order; of many samples a bar for each quantile."""
    found = Latency.of(samples)
    shown, axis = list(samples), "samples, in the order they were taken"
    if len(shown) > _BARS:
        ordered = sorted(shown)
        shown = [ordered[min(len(ordered) - 1, (index + 1) * len(ordered) // _BARS)] for index in range(_BARS)]
        axis = f"{len(samples)} samples, from the fastest to the slowest"
    step = _step(1000 * found.high)
    top = step * max(1, math.ceil(1000 * found.high / step))  # milliseconds at the upper edge
    width, height = _PLOT_WIDTH - _PLOT_LEFT - _PLOT_RIGHT, _PLOT_HEIGHT - _PLOT_BOTTOM - 12

    def y(milliseconds: float) -> float:
        return 12 + height * (1 - milliseconds / top)

    yield f'<figure class="card" style="margin:0"><svg viewBox="0 0 {_PLOT_WIDTH} {_PLOT_HEIGHT}" role="img">'
    yield f"<title>{escape(str(found))}</title>"
    for tick in range(round(top / step) + 1):
        value = tick * step
        at = f"{y(value):.1f}"
        yield f'<line class="grid" x1="{_PLOT_LEFT}" x2="{_PLOT_LEFT + width}" y1="{at}" y2="{at}"/>'
        yield f'<text x="{_PLOT_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g} ms</text>'
    slot = width / len(shown)
    for index, seconds in enumerate(shown):
        above = y(1000 * seconds)
        yield (
            f'<rect class="bar" x="{_PLOT_LEFT + slot * (index + 0.15):.1f}" y="{above:.1f}" width="{slot * 0.7:.1f}" '
            f'height="{max(y(0) - above, 1):.1f}" rx="{min(2.0, slot * 0.2):.1f}">'
            f"<title>{1000 * seconds:.2f} ms</title></rect>"
        )
    middle = y(1000 * found.middle)
    yield f'<line class="median" x1="{_PLOT_LEFT}" x2="{_PLOT_LEFT + width}" y1="{middle:.1f}" y2="{middle:.1f}"/>'
    yield f'<text class="median-label" x="{_PLOT_LEFT + width + 6}" y="{middle + 4:.1f}">median</text>'
    yield f'<text x="{_PLOT_LEFT + width / 2:.1f}" y="{_PLOT_HEIGHT - 6}" text-anchor="middle">{axis}</text>'
    yield f"</svg><figcaption>{escape(str(found))}</figcaption></figure>"


def _step(high: float) -> float:
    """A round distance of the lines, for about four of them up to `high`."""
    wanted = max(high, 0.001) / 4
    magnitude = 10.0 ** math.floor(math.log10(wanted))
    return next(factor * magnitude for factor in _STEPS if factor * magnitude >= wanted)
