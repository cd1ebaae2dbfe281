"""A long list read while it comes: the same as reading all of it, at any cut, and in little memory."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from slurmrest.rest import stream
from slurmrest.rest.stream import Records

VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(), inner, max_size=4),
    max_leaves=8,
)
ANSWERS = some.dictionaries(some.sampled_from(("jobs", "meta", "errors", "ä")) | some.text(), VALUES, max_size=5)
JOBS = 17_000


def read(data: bytes, size: int) -> tuple[list[Any], dict[str, Any] | None]:
    taken: list[Any] = []
    records = Records("jobs", taken.append)
    for start in range(0, len(data), size):
        records.feed(data[start : start + size])
    return taken, records.rest()


@given(answer=ANSWERS, size=some.integers(1, 40), indent=some.none() | some.integers(0, 3), ascii_only=some.booleans())
def test_it_is_what_json_reads(answer: dict[str, Any], size: int, indent: int | None, ascii_only: bool) -> None:
    taken, rest = read(json.dumps(answer, indent=indent, ensure_ascii=ascii_only).encode(), size)
    listed = isinstance(answer.get("jobs"), list)
    assert taken == ([one for one in answer["jobs"] if isinstance(one, dict)] if listed else [])
    assert rest == ({**answer, "jobs": []} if listed else answer)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"[1]",
        b'"jobs"',
        b"<html>welcome</html>",
        b'{"jobs": [{"a": 1}',
        b'{"jobs": [{"a": 1} {"b": 2}]}',
        b'{"jobs" [1]}',
        b'{"jobs": [1]} more',
        b'{"jobs": [1]]',
        b'{"jobs": \xff}',
        b'{"meta": {',
        b"{1: 2}",
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_what_is_no_whole_object_is_nothing(data: bytes, size: int) -> None:
    assert read(data, size)[1] is None


def test_a_value_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LONGEST_VALUE", 5000)
    records = Records("jobs", lambda _record: None)
    records.feed(b'{"jobs": ["')
    for _ in range(100):
        records.feed(b"x" * 1000)
        assert len(records._text) <= 5000
    assert records.rest() is None


def test_seventeen_thousand_jobs_take_no_more_memory_than_a_few() -> None:
    """The longest list that was seen to fail, in records of 1 kB; those of slurmrestd have eight times as much."""
    record = json.dumps({"job_id": 1, "job_state": ["PENDING"], **{f"field_{n}": "x" * 10 for n in range(38)}}).encode()
    seen = 0

    def count(_record: object) -> None:
        nonlocal seen
        seen += 1

    records = Records("jobs", count)
    tracemalloc.start()
    try:
        records.feed(b'{"jobs": [' + record)
        piece = (b"," + record) * 64
        for _ in range((JOBS - 1) // 64):
            records.feed(piece)
        for _ in range((JOBS - 1) % 64):
            records.feed(b"," + record)
        records.feed(b'], "errors": []}')
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert records.rest() == {"jobs": [], "errors": []}
    assert seen == JOBS
    assert peak < 2 << 20
