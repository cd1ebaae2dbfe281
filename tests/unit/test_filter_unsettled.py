"""Which hosts a playbook comes back to, by what it has seen of them."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

unsettled = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.filter.unsettled").unsettled


def host(seen: str | None, digest: str = "d1", looked: str = "d1") -> dict[str, Any]:
    """Return the variables of a host, of which a transaction has seen by these facts that nothing is to be done."""
    return {
        "ansible_facts": {"slurmrest": {"digest": digest}},
        "__slurm_common_evidence": {"sight": {"digest": looked}},
        **({} if seen is None else {"settled": {"changed": False, "seen": seen}}),
    }


DONE, OPEN, SKIPPED = host("d1"), host(""), host(None)
CHANGED_SINCE = host("d1", digest="d2")


@pytest.mark.parametrize("other", [OPEN, SKIPPED, CHANGED_SINCE, {}, {"ansible_facts": {}}])
def test_a_host_is_left_out_that_was_seen_to_be_right(other: dict[str, Any]) -> None:
    hostvars = {"a": DONE, "b": other}
    assert unsettled(["a", "b"], hostvars, "settled") == ["b"]
    assert unsettled(["b", "a"], hostvars, "settled", together=True) == ["b", "a"]
    assert unsettled(["a"], hostvars, "settled", together=True) == []


@pytest.mark.parametrize("controller", [CHANGED_SINCE, {}, {"ansible_facts": {"slurmrest": {"digest": "d1"}}}])
def test_none_is_left_out_where_a_controller_is_another_by_now(controller: dict[str, Any]) -> None:
    assert unsettled(["a"], {"a": DONE, "ctl": controller}, "settled", ["ctl"]) == ["a"]


def test_controllers_that_are_as_they_were_seen() -> None:
    assert unsettled(["a"], {"a": DONE, "ctl": OPEN}, "settled", ["ctl"]) == []


def test_before_any_play_all_hosts_are_meant() -> None:
    assert unsettled(["a", "b"], {}, "settled", ["ctl"]) == ["a", "b"]
