"""A verification report for other programs: JUnit for continuous integration, Nagios plugin, Prometheus text file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from xml.etree import ElementTree as ET

from ..errors import InputError
from ..host import files, reading
from .capacity import Latency
from .run import Report, Result

# The four answers of a monitoring plugin, and their exit codes.
NAGIOS_OK, NAGIOS_WARNING, NAGIOS_CRITICAL, NAGIOS_UNKNOWN = 0, 1, 2, 3
_NAGIOS_WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
_SERVICE = "SLURMREST"


# --- JUnit ------------------------------------------------------------------------------------------------------------


def render_junit(report: Report) -> str:
    """The report as JUnit XML: one test case for each check, in one suite."""
    suites = ET.Element("testsuites")
    counts = {
        "tests": str(len(report.checks)),
        "failures": str(sum(check.ok is False for check in report.checks)),
        "errors": "0",
        "skipped": str(sum(check.ok is None for check in report.checks)),
        "time": f"{report.seconds:.3f}",
    }
    suite = ET.SubElement(suites, "testsuite", {"name": "slurmrest verify", **counts})
    properties = ET.SubElement(suite, "properties")
    for name, value in _facts(report).items():
        ET.SubElement(properties, "property", {"name": name, "value": value})
    for check in report.checks:
        case = ET.SubElement(
            suite, "testcase", {"classname": "slurmrest.verify", "name": check.id, "time": f"{check.seconds:.3f}"}
        )
        if check.ok is False:
            failure = ET.SubElement(case, "failure", {"message": check.detail, "type": check.cause_id or "unknown"})
            failure.text = "\n".join(_explanation(check))
        elif check.ok is None:
            ET.SubElement(case, "skipped", {"message": check.detail})
        else:
            ET.SubElement(case, "system-out").text = check.detail
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _facts(report: Report) -> Mapping[str, str]:
    return {
        "url": report.url,
        "slurm_version": report.slurm_version or "unknown",
        "api_version": report.api_version or "unknown",
        "requests": str(report.requests),
        "warnings": " ".join(report.warnings),
        "limitations": " ".join(report.limitations),
    }


def _explanation(check: Result) -> Iterator[str]:
    yield f"proves: {check.title}"
    if check.cause:
        yield f"cause: {check.cause}"
    if check.remedy:
        yield f"remedy: {check.remedy}"


# --- Nagios, Icinga ---------------------------------------------------------------------------------------------------


def nagios_code(report: Report) -> int:
    """0 to 2: CRITICAL when a check failed, WARNING when only minor ones did or the report has a warning, else OK."""
    failed = [check for check in report.checks if check.ok is False]
    if any(not check.minor for check in failed):
        return NAGIOS_CRITICAL
    return NAGIOS_WARNING if failed or report.warnings else NAGIOS_OK


def render_nagios(report: Report) -> str:
    """The report as a monitoring plugin says it: one line, ``|`` and performance data, then a line for each failure."""
    failed = [check for check in report.checks if check.ok is False]
    skipped = sum(check.ok is None for check in report.checks)
    passed = len(report.checks) - len(failed) - skipped
    counted = f"{len(failed)} failed, {passed} ok, {skipped} skipped"
    first = f"{failed[0].id}: {failed[0].detail}; " if failed else ""
    text = f"{first}{counted}; Slurm {report.slurm_version or 'of unknown version'} at {report.url}"
    figures = {"time": f"{report.seconds:.3f}s", "requests": str(report.requests), "failed": str(len(failed))}
    for name, seconds in _latency(report).items():
        figures[f"latency_{name}"] = f"{seconds:.6f}s"
    data = " ".join(f"{name}={value}" for name, value in figures.items())
    lines = [f"{_status(nagios_code(report))} - {_plain(text)} | {data}"]
    lines += [f"WARNING: {_plain(warning)}" for warning in report.warnings]
    for check in failed:
        lines.append(_plain(f"{check.id}: {check.detail}; {'; '.join(_explanation(check))}"))
    return "\n".join(lines) + "\n"


def nagios_unknown(words: str) -> str:
    """The line of a plugin that could not do its work; the exit code is :data:`NAGIOS_UNKNOWN`."""
    return f"{_status(NAGIOS_UNKNOWN)} - {_plain(' '.join(words.split()))}\n"


def _status(code: int) -> str:
    return f"{_SERVICE} {_NAGIOS_WORDS[code]}"


def _plain(words: str) -> str:
    """Text without the character that begins performance data."""
    return words.replace("|", "/")


# --- Prometheus -------------------------------------------------------------------------------------------------------


def render_prometheus(report: Report, now: float | None = None) -> str:
    """The report in Prometheus' text format, for the text-file collector of node_exporter. `now` is in seconds."""
    url = {"url": report.url}
    proven = [check for check in report.checks if check.ok is not None]
    version = {**url, "slurm_version": report.slurm_version or "", "api_version": report.api_version or ""}
    families: list[tuple[str, str, list[tuple[Mapping[str, str], float]]]] = [
        ("ok", "Whether no check of the last verification failed.", [(url, report.ok)]),
        (
            "timestamp_seconds",
            "When the last verification ended.",
            [(url, round(time.time() if now is None else now, 3))],
        ),
        ("duration_seconds", "How long the whole verification took.", [(url, round(report.seconds, 6))]),
        ("requests", "How many requests the verification sent.", [(url, report.requests)]),
        ("warnings", "How many warnings take away from the proof, such as --insecure.", [(url, len(report.warnings))]),
        ("info", "What was verified; the value is always 1.", [(version, 1)]),
        (
            "check_ok",
            "Whether a check passed (1) or failed (0); one that was skipped is missing here.",
            [({**url, "check": check.id}, check.ok is True) for check in proven],
        ),
        (
            "check_skipped",
            "Whether a check could not prove anything.",
            [({**url, "check": check.id}, check.ok is None) for check in report.checks],
        ),
        (
            "check_seconds",
            "Time spent in the requests of a check, and in waiting for its job.",
            [({**url, "check": check.id}, check.seconds) for check in proven],
        ),
        (
            "latency_seconds",
            "Time that diag took, over the samples of one verification.",
            [({**url, "statistic": name}, round(value, 6)) for name, value in _latency(report).items()],
        ),
    ]
    lines: list[str] = []
    for name, words, samples in families:
        if samples:
            full = f"slurmrest_verify_{name}"
            lines += [f"# HELP {full} {words}", f"# TYPE {full} gauge"]
            lines += [f"{full}{{{_labels(labels)}}} {_number(value)}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _latency(report: Report) -> Mapping[str, float]:
    """The figures of the latency by name, in seconds; none when it was not measured."""
    if not report.latency:
        return {}
    found = Latency.of(report.latency)
    figures = {"min": found.low, "median": found.middle, "max": found.high}
    return figures if found.p99 is None else {**figures, "p99": found.p99}


# --- files ------------------------------------------------------------------------------------------------------------


def write_file(path: str, text: str) -> None:
    """Put `text` into a file in one step, so that a reader never sees half of it. Readable by everybody (0644).

    Raises InputError when that is not possible.
    """
    try:
        files.write(path, text.encode(), os.geteuid(), os.getegid(), 0o644)
    except (OSError, ValueError, reading.UnsafePath) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError("report file", path, "a file in a directory that this user may write to", why) from None
