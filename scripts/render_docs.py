#!/usr/bin/env python3
"""Write the documents that are made from data: role READMEs, the release matrix, the marked blocks of README.md.

Sources: roles/*/meta/argument_specs.yml and roles/*/defaults/main.yml for variables, slurmrest.releases for releases.
The names of the variables go into a module of the action plugins, too.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import re
import statistics
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "plugins" / "module_utils"), str(ROOT), str(ROOT / "src")]

from slurmrest.doctor import diagnosis  # noqa: E402  # likewise
from slurmrest.slurm import releases  # noqa: E402  # found only through the path set above

from benchmarks import capacity  # noqa: E402  # likewise
from scripts import render_architecture, role_variables  # noqa: E402  # likewise
from scripts.role_variables import roles, specs  # noqa: E402  # likewise
from tests.real.faults import faults, follow, healthy  # noqa: E402  # likewise
from tests.real.faults.fault import ALL  # noqa: E402  # likewise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

NOTICE = "<!-- Made by scripts/render_docs.py; edit its sources instead. -->"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; a bar inside a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def prose(text: str | Sequence[str]) -> list[str]:
    """Return the paragraphs of a description, with Ansible's semantic markup such as ``V(true)`` turned into code."""
    paragraphs = [text] if isinstance(text, str) else list(text)
    return [re.sub(r"\b[A-Z]{1,2}\(([^()]*)\)", r"`\1`", " ".join(paragraph.split())) for paragraph in paragraphs]


def literal(value: Any) -> str:
    """Return a default as it would be written in YAML on one line."""
    return "`" + json.dumps(value, ensure_ascii=False) + "`"


def derived(value: Any) -> bool:
    """Tell whether a default is computed by a template somewhere in it."""
    if isinstance(value, dict):
        return any(map(derived, value.values()))
    if isinstance(value, list):
        return any(map(derived, value))
    return isinstance(value, str) and "{{" in value


def default_cell(option: Mapping[str, Any], default: Any) -> str:
    """Return the table cell for the default of one option; ``default`` is its value in defaults/main.yml or None."""
    if option.get("required"):
        return "required"
    value = option.get("default", default)
    if value is None:
        return ""
    return "derived" if derived(value) else literal(value)


def option_rows(
    options: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, str, str, str]]:
    """Yield (name, type, default, description) for each option and, below it, for the keys of its dictionaries."""
    for name, option in options.items():
        kind = option.get("type", "str")
        if kind == "list":
            kind = f"list of {option.get('elements', 'str')}"
        what = " ".join(prose(option["description"]))
        if "choices" in option:
            what += " One of " + ", ".join(literal(choice) for choice in option["choices"]) + "."
        yield f"`{prefix}{name}`", kind, default_cell(option, defaults.get(name)), what
        if "options" in option:
            yield from option_rows(option["options"], {}, f"{prefix}{name}.")


def role_readme(role: Path) -> str:
    """Return the README of a role."""
    path = role / "defaults" / "main.yml"
    defaults = (yaml.safe_load(path.read_text()) if path.exists() else None) or {}
    parts = [NOTICE, f"# slurmrest.toolkit.{role.name}"]
    if "main" not in specs(role):
        parts.append(f"**{yaml.safe_load((role / 'meta' / 'main.yml').read_text())['galaxy_info']['description']}**")
    for name, spec in specs(role).items():
        if name != "main":
            parts.append(f"## Entry point `{name}`")
        parts += [f"**{prose(spec['short_description'])[0]}**", *prose(spec.get("description", []))]
        rows = list(option_rows(spec.get("options") or {}, defaults))
        parts.append(table(("Variable", "Type", "Default", "What it does"), rows) if rows else "It has no variables.")
    return "\n\n".join(parts) + "\n"


def variables_index() -> str:
    """Return the table of all variables of all roles, each with the first sentence of its description."""
    rows = []
    for role in roles(ROOT):
        link = f"[{role.name}](roles/{role.name}/README.md)"
        options: dict[str, Any] = {}
        for spec in specs(role).values():
            options.update(spec.get("options") or {})
        for name, option in options.items():
            rows.append((f"`{name}`", link, re.split(r"(?<=\.)\s", prose(option["description"])[0])[0]))
    return table(("Variable", "Role", "What it does"), rows)


def columns() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield (group, [(column, meaning)]) of the release table, read from the comments in its class."""
    source = Path(releases.__file__).read_text()
    lines = source.splitlines()
    classes = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    body = next(node for node in classes if node.name == "Release").body
    group: str = ""
    members: list[tuple[str, str]] = []
    previous = 0
    for node in body:
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        for line in lines[previous : node.lineno - 1]:
            if title := re.match(r"\s*# -+ (.+?) -+$", line):
                if members:
                    yield group, members
                group, members = title[1], []
        comment = re.search(r"#\s*(.*)$", lines[node.lineno - 1])
        members.append((node.target.id, comment[1] if comment else ""))
        previous = node.lineno
    yield group, members


def cell(release: releases.Release, column: str) -> str:
    """Return one cell of the matrix: its value, and those it took later inside the series."""

    def written(value: object) -> str:
        match value:
            case None | ():
                return "–"
            case bool():
                return "yes" if value else "no"
            case tuple() | list():
                return "<br>".join(map(str, value))
            case _:
                return str(value)

    (_, first), *later = release.cell(column)
    return "<br>".join([written(first), *(f"since {version}:<br>{written(value)}" for version, value in later)])


def known_by(column: str, evidence: Mapping[str, Any]) -> Iterator[str]:
    """Yield for each release how its cell is known: ``run``, ``read`` or ``inferred``.

    A cell that differs from the one before it was written down by somebody who read it.
    """
    before: object = None
    for release in releases.RELEASES:
        value = getattr(release, column)
        if column in evidence["run"].get(release.series, {"columns": ()})["columns"]:
            yield "run"
        elif column in evidence["read"] or value != before:
            yield "read"
        else:
            yield "inferred"
        before = getattr(releases.lookup(release.last_known).release, column)


def release_matrix(evidence: Mapping[str, Any]) -> str:
    """Return docs/releases.md: every column of the release table, a table for each group of columns."""
    series = [release.series for release in releases.RELEASES]
    explanation = (
        "Every rule of this toolkit that depends on the Slurm version is a cell of this table. A series newer than "
        "the last column is treated like it, with a warning; one older than the first is refused."
    )
    marks = {"run": "**{}**", "read": "{}", "inferred": "*{}*"}
    kinds = [list(known_by(name, evidence)) for _, members in columns() for name, _ in members]
    counted = Counter(kind for row in kinds for kind in row)
    legend = (
        f"**Bold**: seen on a running daemon of the series ({counted['run']} cells), by `tests/real/release_table` "
        f"where a distribution packages it. Plain: read in its source ({counted['read']}). *Italic*: as in the "
        f"series before, neither read again nor run ({counted['inferred']})."
    )
    parts = [NOTICE, "# What each Slurm release can do", explanation, legend]
    for group, members in columns():
        shown = [(name, meaning) for name, meaning in members if name not in ("series", "source")]
        rows = [
            (
                f"`{name}`",
                *(
                    marks[kind].format(cell(release, name))
                    for release, kind in zip(releases.RELEASES, known_by(name, evidence), strict=True)
                ),
            )
            for name, _ in shown
        ]
        parts += [f"## {group[0].upper()}{group[1:]}", table(("", *series), rows)]
        parts += ["\n".join(f"- `{name}`: {meaning}" for name, meaning in shown if meaning)]
    parts += ["## Sources", table(("Series", "Read or run"), [(r.series, r.source) for r in releases.RELEASES])]
    return "\n\n".join(filter(None, parts)) + "\n"


def release_summary() -> str:
    """Return the short matrix of the README: the API versions that each series serves."""
    rows = [(r.series, ", ".join(r.api_versions), ", ".join(r.deprecated_api) or "–") for r in releases.RELEASES]
    return table(("Slurm", "API versions served", "gone with the next series"), rows)


def findings_table() -> str:
    """Return the table of everything that the doctor can name."""
    rows = [(f"`{one['id']}`", one["title"], one["by_hand"], one["documentation"]) for one in diagnosis.catalogue()]
    return table(("id", "Finding", "By hand, since", "Documentation"), rows)


def faults_table(results: Mapping[str, Any]) -> str:
    """Return the table fault by release from what docs/data/doctor.json holds under ``releases``."""
    rows = []
    seconds: list[float] = []
    for fault in faults.FAULTS:
        known = [(series, results.get(series, {"faults": {}})["faults"].get(fault.name)) for series in ALL]
        cells = [fault_cell(result) if series in fault.releases else "–" for series, result in known]
        rows.append((fault.text, f"`{fault.expect}`", *cells))
        seconds += [result["mended_in"] for _, result in known if result and "mended_in" in result]
    cells = [cell for row in rows for cell in row[2:] if cell != "–"]
    named = [cell for cell in cells if cell.startswith("named")]
    count = f"{len(named)} of {len(cells)} rightly named; {cells.count('not run')} not run."
    if seconds:
        count += f" Mended in {statistics.median(seconds):.1f} s (median), {max(seconds):.1f} s at most."
    return f"{count} {remedies_line(named)}\n\n{table(('Fault', 'Finding', *ALL), rows)}\n\n{dashes()}"


def dashes() -> str:
    """Return why a fault cannot happen on some release, as a list."""
    lines = [f"- {fault.text}: {fault.elsewhere}" for fault in faults.FAULTS if fault.elsewhere]
    return "\n".join(["Why a fault cannot happen on a release:", "", *lines])


def remedies_line(named: Sequence[str]) -> str:
    """Return how many remedies were followed and how many healed, from the cells of faults that were named."""
    healed, failed, by_hand = (
        sum(cell.endswith(words) for cell in named) for words in (", healed", "**not healed**", ", by hand")
    )
    return (
        f"Remedies followed word by word: {healed + failed}, of which {healed} healed. {by_hand} are for people; "
        f"{len(named) - healed - failed - by_hand} were not followed."
    )


def fault_cell(result: Mapping[str, Any] | None) -> str:
    """Return what became of one fault on one release."""
    if result is None:
        return "not run"
    if sorted(result["found"]) != sorted([result["expect"], *result.get("also", ())]):
        return found_cell(result["found"])
    remedy = result.get("remedy")
    return "named" if remedy is None else f"named, {f'**{remedy}**' if remedy == follow.NOT_HEALED else remedy}"


def found_cell(found: Sequence[str]) -> str:
    """Return what was found and should not have been, or not instead of what should."""
    return f"**found: {', '.join(found) or 'nothing'}**"


def healthy_table(results: Mapping[str, Any]) -> str:
    """Return the table of sound variants by release from what docs/data/doctor.json holds under ``releases``."""
    cells: dict[str, dict[str, str]] = {}
    for variant in healthy.HEALTHY:
        row = cells.setdefault(variant.text, dict.fromkeys(ALL, "–"))
        for series in variant.releases:
            result = results.get(series, {}).get("healthy", {}).get(variant.name)
            row[series] = "not run" if result is None else found_cell(result["found"]) if result["found"] else "healthy"
    return table(("Variant", *ALL), [(text, *row.values()) for text, row in cells.items()])


def rotations_table(data: Mapping[str, Any]) -> str:
    """Return the table of what docs/data/rotation.json holds: median and maximum of measured rotations, in seconds."""
    names = ("changeover", "slurm", "slurmdb")
    rows, loads = [], []
    for series in ALL:
        for layout, result in data["releases"].get(series, {}).items():
            runs = result["rotations"]
            loads += [run["load"] for run in runs]
            values = [[run[name] for run in runs] for name in names]
            cells = [f"{statistics.median(column):.2f} ({max(column):.2f})" for column in values]
            rows.append((result["slurm_version"], layout, str(len(runs)), *cells))
    if not rows:
        return "Not measured yet."
    header = ("Slurm", "layout", "rotations", "changeover", "no token on `/slurm`", "no token on `/slurmdb`")
    load = f"load before each rotation: {min(loads):.1f} to {max(loads):.1f}"
    return f"Median (maximum), in seconds. {data['machine']}; {load}.\n\n{table(header, rows)}"


def gaps_table(data: Mapping[str, Any]) -> str:
    """Return the table of what docs/data/controllers.json holds: the longest time without an answer, in seconds."""
    events: Mapping[str, str] = data["events"]
    rows = [
        (text, *(f"{found['gaps'][event]:.1f}" if event in found["gaps"] else "not run" for found in by_series))
        for event, text in events.items()
        for by_series in [[data["releases"].get(series, {"gaps": {}}) for series in ALL]]
    ]
    return f"Seconds. {data['machine']}.\n\n{table(('', *ALL), rows)}"


def scores_table(scores: Mapping[str, Any]) -> str:
    """Return the table of ``systemd-analyze security`` by release, from what docs/data/security.json has recorded."""
    rows = [
        (series, found["systemd"], f"{found['ours']:.1f}", f"{found['vendor']:.1f}")
        for series, found in sorted(scores.items())
    ]
    return table(("Slurm", "systemd", "the unit as this toolkit leaves it", "the vendor's alone"), rows)


def memory_table(memory: Mapping[str, Any]) -> str:
    """Return the table of what slurmrestd takes for lists of jobs, from docs/data/security.json."""
    rows = [
        (series, str(row["jobs"]), f"{row['answer'] / 2**20:.1f}", str(row["clients"]), str(row["peak_mib"]))
        for series, measured in sorted(memory.items())
        for row in measured
    ]
    return table(("Slurm", "jobs", "answer, MiB", "clients at once", "most resident, MiB"), rows)


def with_blocks(text: str, blocks: Mapping[str, str]) -> str:
    """Return text with what stands between ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` replaced.

    Raises ValueError for a block whose markers are not there exactly once.
    """
    for name, block in blocks.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        if not (text.count(begin) == text.count(end) == 1 and text.index(begin) < text.index(end)):
            message = f"the document needs the markers {begin!r} and {end!r}, once each and in this order"
            raise ValueError(message)
        head, rest = text.split(begin)
        text = f"{head}{begin}\n{NOTICE}\n\n{block}\n\n{end}{rest.split(end)[1]}"
    return text


def documents() -> dict[Path, str]:
    """Return what each generated file should hold."""
    readme = ROOT / "README.md"
    made = {role / "README.md": role_readme(role) for role in roles(ROOT)}
    seen = ROOT / "docs" / "data" / "releases.json"
    evidence = json.loads(seen.read_text()) if seen.exists() else {"read": [], "run": {}}
    made[ROOT / "plugins" / "plugin_utils" / "variable_names.py"] = role_variables.names_module(ROOT)
    made[ROOT / "docs" / "releases.md"] = release_matrix(evidence)
    page, results = ROOT / "docs" / "doctor.md", ROOT / "docs" / "data" / "doctor.json"
    if page.exists():
        known = json.loads(results.read_text())["releases"]
        made[page] = with_blocks(
            page.read_text(),
            {"findings": findings_table(), "faults": faults_table(known), "healthy": healthy_table(known)},
        )
    page, results = ROOT / "docs" / "rotate.md", ROOT / "docs" / "data" / "rotation.json"
    if page.exists():
        made[page] = with_blocks(page.read_text(), {"rotations": rotations_table(json.loads(results.read_text()))})
    page, results = ROOT / "docs" / "controllers.md", ROOT / "docs" / "data" / "controllers.json"
    if page.exists():
        made[page] = with_blocks(page.read_text(), {"gaps": gaps_table(json.loads(results.read_text()))})
    page, recorded = ROOT / "docs" / "security.md", ROOT / "docs" / "data" / "security.json"
    if page.exists():
        found = json.loads(recorded.read_text())
        blocks = {"scores": scores_table(found["scores"]), "memory": memory_table(found["memory"])}
        made[page] = with_blocks(page.read_text(), blocks)
    page, results = ROOT / "docs" / "gateway.md", ROOT / "docs" / "data" / "benchmarks.json"
    if page.exists():
        made[page] = with_blocks(page.read_text(), {"capacity": capacity.table(json.loads(results.read_text()))})
    page = ROOT / "docs" / "architecture.md"
    if page.exists():
        made[page] = with_blocks(page.read_text(), {"rooms": render_architecture.picture(ROOT)})
    made[readme] = with_blocks(readme.read_text(), {"variables": variables_index(), "releases": release_summary()})
    return made


def main(argv: Sequence[str]) -> int:
    """Write the documents; with --check only compare: 1 and a diff when one is out of date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing, show what would change")
    check: bool = parser.parse_args(argv).check
    stale = {}
    for path, text in documents().items():
        old = path.read_text() if path.exists() else ""
        if old != text:
            stale[path] = (old, text)
    for path, (old, text) in stale.items():
        name = str(path.relative_to(ROOT))
        if check:
            sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), text.splitlines(True), name, name))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {name}")
    if check and stale:
        print(f"{len(stale)} out of date: run scripts/render_docs.py", file=sys.stderr)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
