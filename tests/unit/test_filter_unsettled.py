"""Which hosts a playbook comes back to, by what its run has registered (the rule: tests/unit/transaction)."""

from __future__ import annotations

import importlib
import time
from typing import Any

import pytest

unsettled = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.filter.unsettled").unsettled


NOW = time.time()


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the tests before these took."""
    monkeypatch.setattr(time, "time", lambda: NOW)


def host(seen: str | None, digest: str = "d1", looked: str = "d1", seconds: float = 1.0) -> dict[str, Any]:
    """Return the variables of a host, of which a transaction has seen by these facts that nothing is to be done."""
    return {
        "ansible_facts": {"slurmrest": {"digest": digest}},
        "__slurm_common_evidence": {"sight": {"digest": looked, "at": NOW - seconds}},
        **({} if seen is None else {"settled": {"changed": False, "seen": seen}}),
    }


DONE, OPEN, SKIPPED = host("d1"), host(""), host(None)
CHANGED_SINCE = host("d1", digest="d2")
SEEN_LONG_AGO = host("d1", seconds=301)
NO_LOOK = {name: value for name, value in DONE.items() if name != "__slurm_common_evidence"}
LOST = {**DONE, "__slurm_common_evidence": {"changed": False, "evidence": None, "why": "connection lost"}}
NOT_COMPARED = {**DONE, "settled": {"changed": False, "skipped": True}}


@pytest.mark.parametrize(
    "other",
    [OPEN, SKIPPED, CHANGED_SINCE, SEEN_LONG_AGO, NO_LOOK, LOST, NOT_COMPARED, {}, {"ansible_facts": {}}],
)
def test_a_host_is_left_out_that_was_seen_to_be_right(other: dict[str, Any]) -> None:
    hostvars = {"a": DONE, "b": other}
    assert unsettled(["a", "b"], hostvars, "settled") == ["b"]
    assert unsettled(["b", "a"], hostvars, "settled", together=True) == ["b", "a"]
    assert unsettled(["a"], hostvars, "settled", together=True) == []
    assert unsettled(["a"], hostvars, "another") == ["a"]


@pytest.mark.parametrize("controller", [CHANGED_SINCE, {}, NO_LOOK, LOST])
def test_none_is_left_out_where_a_controller_is_another_by_now(controller: dict[str, Any]) -> None:
    assert unsettled(["a"], {"a": DONE, "ctl": controller}, "settled", ["ctl"]) == ["a"]


def test_controllers_that_are_as_they_were_seen() -> None:
    assert unsettled(["a"], {"a": DONE, "ctl": OPEN}, "settled", ["ctl"]) == []


def test_before_any_play_all_hosts_are_meant() -> None:
    assert unsettled(["a", "b"], {}, "settled", ["ctl"]) == ["a", "b"]
