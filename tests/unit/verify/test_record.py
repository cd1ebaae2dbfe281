"""A report as the host hands it over, and as the controller shows it: the same."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from slurmrest.verify.formats import render_junit
from slurmrest.verify.html import render_html
from slurmrest.verify.judgement import report_of
from slurmrest.verify.record import recorded
from slurmrest.verify.run import as_dict
from slurmrest.verify.table import render_table

from tests.unit.verify.test_formats import REPORT


def test_what_is_shown_is_the_same_after_the_way() -> None:
    there = report_of(json.loads(json.dumps(recorded(REPORT))))
    assert render_table(there) == render_table(REPORT)
    assert render_html(there, now=0) == render_html(REPORT, now=0)
    assert render_junit(there) == render_junit(REPORT)
    assert as_dict(there) == as_dict(REPORT)


def test_what_requests_sent_stays_on_the_host() -> None:
    first = REPORT.checks[0]
    sent = replace(first, exchanges=tuple(replace(one, body="what was sent") for one in first.exchanges))
    assert first.exchanges
    assert "what was sent" not in json.dumps(recorded(replace(REPORT, checks=(sent,))))


@pytest.mark.parametrize(
    "change",
    [
        {"requests": "<b>1</b>"},
        {"latency": ["<b>"]},
        {"seconds": None},
        {"checks": [{"id": "reach"}]},
        {"more": "than there is"},
    ],
)
def test_what_is_no_report_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        report_of({**recorded(REPORT), **change})


def test_secrets_in_what_a_host_says_are_taken_out_again() -> None:
    record = recorded(REPORT)
    record["checks"][0]["detail"] = "StoragePass=hunter2"
    assert "hunter2" not in render_table(report_of(record))
