"""JUnit, Nagios, Prometheus and HTML: each read by a program that reads such files, and what they say compared."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Failure, JUnitXml, Skipped
from prometheus_client.parser import text_string_to_metric_families
from slurmrest.errors import InputError
from slurmrest.rest.client import Target
from slurmrest.rest.session import TOKEN, Exchange
from slurmrest.verify import formats
from slurmrest.verify import html as report_html
from slurmrest.verify.judgement import configuration
from slurmrest.verify.run import INSECURE, Report, Result

HOSTILE = "<script>alert('x')</script> & \"quoted\" \\ | ]]> 100 %"
ASKED = (Exchange(Target("http", "rest", 6820), "GET", "/slurm/v0.0.42/diag", TOKEN, "root", None, 511),)
REPORT = Report(
    url="http://rest:6820",
    slurm_version="24.11.5",
    api_versions=("v0.0.41", "v0.0.42"),
    api_version="v0.0.42",
    checks=(
        Result("reach", "the listener answers in HTTP", True, 0.25, "HTTP answers", "", "", ASKED),
        Result(
            "slurm-diag", "a good token", False, 0.125, HOSTILE, "the token expired", "Get one.", ASKED, "token-refused"
        ),
        Result("escaping", "URLs", False, 0.5, "200", "a proxy", "See it.", (), "rewritten-url", minor=True),
        Result("job", "a job runs", None, 0.0, "not asked for (--job)", "", "Name a user."),
    ),
    seconds=1.5,
    requests=7,
    latency=(0.004, 0.002, 0.003),
)
GOOD = replace(REPORT, checks=REPORT.checks[:1])


def only_minor(report: Report) -> Report:
    return replace(report, checks=tuple(check for check in report.checks if check.minor or check.ok))


# --- JUnit ------------------------------------------------------------------------------------------------------------


def test_junit() -> None:
    (suite,) = JUnitXml.fromstring(formats.render_junit(REPORT).encode())
    assert (suite.tests, suite.failures, suite.errors, suite.skipped, suite.time) == (4, 2, 0, 1, 1.5)
    assert properties(suite)["slurm_version"] == "24.11.5"
    cases = {case.name: case for case in suite}
    assert list(cases) == ["reach", "slurm-diag", "escaping", "job"]
    assert (cases["reach"].time, cases["reach"].result, cases["reach"].system_out) == (0.25, [], "HTTP answers")
    (failure,) = cases["slurm-diag"].result
    assert isinstance(failure, Failure)
    assert (failure.message, failure.type) == (HOSTILE, "token-refused")
    assert failure.text == "proves: a good token\ncause: the token expired\nremedy: Get one."
    (skipped,) = cases["job"].result
    assert isinstance(skipped, Skipped)
    assert skipped.message == "not asked for (--job)"


def test_junit_carries_warnings() -> None:
    (suite,) = JUnitXml.fromstring(formats.render_junit(replace(REPORT, warnings=(INSECURE,))).encode())
    assert properties(suite)["warnings"] == INSECURE


def properties(suite: Any) -> dict[str, str]:
    return {item.name: item.value for item in suite.properties()}


# --- Nagios -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("report", "code", "word"),
    [
        (GOOD, 0, "OK"),
        (only_minor(REPORT), 1, "WARNING"),
        (replace(GOOD, warnings=(INSECURE,)), 1, "WARNING"),
        (REPORT, 2, "CRITICAL"),
    ],
)
def test_nagios_says_how_bad_it_is(report: Report, code: int, word: str) -> None:
    assert formats.nagios_code(report) == code
    assert formats.render_nagios(report).startswith(f"SLURMREST {word} - ")


def test_nagios_output_is_text_then_performance_data() -> None:
    first, *rest = formats.render_nagios(replace(REPORT, warnings=(INSECURE,))).splitlines()
    text, bar, data = first.partition(" | ")
    assert bar
    assert "2 failed, 1 ok, 1 skipped; Slurm 24.11.5 at http://rest:6820" in text
    figures = re.findall(r"(?:^| )([a-z_]+)=([\d.]+)s?(?= |$)", data)
    assert len(figures) == len(data.split())
    assert {name: float(value) for name, value in figures} == {
        "time": 1.5,
        "requests": 7,
        "failed": 2,
        "latency_min": 0.002,
        "latency_median": 0.003,
        "latency_max": 0.004,
    }
    assert rest[0] == f"WARNING: {INSECURE}"
    assert "cause: the token expired; remedy: Get one." in rest[1]
    assert "|" not in text + "".join(rest)  # a second one would begin performance data


def test_nagios_unknown() -> None:
    assert formats.nagios_unknown("could not\nrun: a|b") == "SLURMREST UNKNOWN - could not run: a/b\n"


# --- Prometheus -------------------------------------------------------------------------------------------------------


def metrics(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            found[(sample.name, frozenset(sample.labels.items()))] = sample.value
    return found


def metric(found: dict[Any, float], name: str, **labels: str) -> float | None:
    return found.get((f"slurmrest_verify_{name}", frozenset({"url": REPORT.url, **labels}.items())))


def test_prometheus() -> None:
    found = metrics(formats.render_prometheus(REPORT, now=1234.5))
    assert metric(found, "ok") == 0
    assert metric(found, "timestamp_seconds") == 1234.5
    assert metric(found, "duration_seconds") == 1.5
    assert metric(found, "requests") == 7
    assert metric(found, "warnings") == 0
    assert metric(found, "info", slurm_version="24.11.5", api_version="v0.0.42") == 1
    assert [metric(found, "check_ok", check=name) for name in ("reach", "slurm-diag", "job")] == [1, 0, None]
    assert [metric(found, "check_skipped", check=name) for name in ("reach", "job")] == [0, 1]
    assert metric(found, "check_seconds", check="slurm-diag") == 0.125
    statistics = [metric(found, "latency_seconds", statistic=name) for name in ("min", "median", "max", "p99")]
    assert statistics == [0.002, 0.003, 0.004, None]
    many = metrics(formats.render_prometheus(replace(REPORT, latency=(0.001,) * 199 + (0.5,))))
    assert metric(many, "latency_seconds", statistic="p99") == 0.001


def test_prometheus_without_latency_or_version() -> None:
    found = metrics(formats.render_prometheus(replace(GOOD, latency=(), slurm_version=None, api_version=None)))
    assert metric(found, "ok") == 1
    assert metric(found, "info", slurm_version="", api_version="") == 1
    assert not [name for name, _labels in found if "latency" in name]


@given(st.text(st.characters(codec="utf-8")))
def test_any_name_survives_as_a_label(name: str) -> None:
    report = replace(GOOD, url=name, checks=(replace(GOOD.checks[0], id=name),))
    text = formats.render_prometheus(report)
    labels = frozenset({"url": name, "check": name}.items())
    assert metrics(text)[("slurmrest_verify_check_ok", labels)] == 1


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_file_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "slurmrest.prom"
    formats.write_file(str(path), "old\n")
    before = path.stat()
    monkeypatch.setattr(os, "fchmod", lambda *_arguments: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(InputError, match="No space left on device"):
        formats.write_file(str(path), "new\n")
    assert (path.read_text(), path.stat().st_ino) == ("old\n", before.st_ino)
    assert list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    formats.write_file(str(path), "new\n")
    assert (path.read_text(), path.stat().st_ino == before.st_ino) == ("new\n", False)
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


# --- HTML -------------------------------------------------------------------------------------------------------------

VOID = {"meta", "br", "line", "rect"}


class Page(HTMLParser):
    """Reads a page: its elements, which must all be closed, its attributes and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID or tag == "rect":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def tags(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


def test_the_page_says_what_the_report_says() -> None:
    page = Page(report_html.render_html(REPORT, now=0))
    for words in (
        "http://rest:6820: failed",
        "Slurm 24.11.5, verified 1970-01-01 00:00:00 UTC",
        "Failed: slurm-diag, escaping",
        "Cause: the token expired",
        "GET /slurm/v0.0.42/diag",
        "3 answers of diag in min 2.0, median 3.0, max 4.0 ms",
        "nbf, iat, iss and aud",
        "What Slurm 24.11 is known for",
    ):
        assert words in page.text
    assert HOSTILE in page.text
    assert [attributes["class"] for attributes in page.tags("li")] == ["ok", "failed", "failed", "skipped"]
    assert len(page.tags("rect")) == 3


def test_the_page_runs_and_loads_nothing() -> None:
    page = Page(report_html.render_html(replace(REPORT, warnings=(INSECURE,))))
    assert page.tags("meta")[1]["content"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert not {"script", "link", "img", "iframe", "object", "a"} & {tag for tag, _attributes in page.elements}
    names = {name for _tag, attributes in page.elements for name in attributes}
    assert not [name for name in names if name in ("src", "href") or name.startswith("on")]
    style = "".join(page.words[page.words.index(word)] for word in page.words if "color-scheme" in word)
    assert "prefers-color-scheme: dark" in style
    assert "url(" not in style
    assert INSECURE in page.text


def test_the_page_of_a_daemon_that_does_not_answer() -> None:
    silent = replace(
        REPORT, slurm_version=None, api_versions=(), api_version=None, latency=(), checks=REPORT.checks[:2]
    )
    page = Page(report_html.render_html(silent))
    assert "of unknown version" in page.text
    assert page.tags("svg") == []
    assert "is known for" not in page.text


@pytest.mark.parametrize(
    "samples", [[0.0], [0.0, 0.0], [1e-6], [0.004] * 120, [n / 1e4 for n in range(5000)], [3.0, 60.0]]
)
def test_any_samples_are_drawn_inside_the_plot(samples: list[float]) -> None:
    page = Page(report_html.render_html(replace(REPORT, latency=tuple(samples))))
    _, _, width, height = (float(value) for value in (page.tags("svg")[0]["viewbox"] or "").split())
    bars = [{name: float(bar[name] or "") for name in ("x", "y", "width", "height")} for bar in page.tags("rect")]
    assert len(bars) == min(len(samples), 120)
    for bar in bars:
        assert 0 <= bar["x"] < bar["x"] + bar["width"] <= width
        assert 0 <= bar["y"] < bar["y"] + bar["height"] <= height
    assert 2 <= len([line for line in page.tags("line") if line["class"] == "grid"]) <= 7
    tallest = max(bars, key=lambda bar: bar["height"])
    assert samples.index(max(samples)) == bars.index(tallest) or len(samples) > 120


def facts() -> Any:
    return {
        "version": "24.11.5",
        "unit": {
            "fragment": "/usr/lib/systemd/system/slurmrestd.service",
            "dropins": ["/etc/systemd/system/slurmrestd.service.d/50.conf"],
            "exec_start": ["/usr/sbin/slurmrestd -a rest_auth/jwt"],
            "listeners": [{"text": "127.0.0.1:6820"}, {"text": "unix:/run/s"}],
            "user": "slurmrestd",
            "group": None,
            "environment": {"SLURM_JWT": "daemon"},
        },
        "slurm_conf": {
            "path": "/etc/slurm/slurm.conf",
            "slurmctld_hosts": ["ctl"],
            "auth_type": "auth/munge",
            "auth_alt_types": ["auth/jwt"],
            "auth_alt_parameters": {"jwt_key": "/k"},
            "accounting_storage_type": "accounting_storage/none",
        },
    }


def test_the_effective_configuration() -> None:
    found = facts()
    rows = configuration(found)["Effective configuration"]
    assert rows["Listeners"] == "127.0.0.1:6820 unix:/run/s"
    assert rows["User, group"] == "slurmrestd"
    assert rows["AuthAltParameters"] == "jwt_key=/k"
    assert rows["Environment"] == "SLURM_JWT=daemon"
    assert (
        "slurmrestd -a rest_auth/jwt" in Page(report_html.render_html(REPORT, {"Effective configuration": rows})).text
    )
    found["unit"]["environment"]["SLURM_JWT"] = "aaa.bbb.ccc"
    assert configuration(found)["Effective configuration"]["Environment"] == "SLURM_JWT=<token>"
