"""Whom a run asks of several controllers, by the facts that it has."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

serving = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.filter.serving_controller")


def host(active: str) -> dict[str, Any]:
    return {"ansible_facts": {"slurmrest": {"units": {"slurmctld": {"active": active}}}}}


def chosen(*names: str, **hosts: dict[str, Any]) -> str:
    choose = serving.FilterModule().filters()["serving_controller"]
    found: str = choose(list(names), hosts)
    return found


def test_the_first_whose_slurmctld_runs() -> None:
    assert chosen("a", "b", a=host("active"), b=host("active")) == "a"
    assert chosen("a", "b", a=host("failed"), b=host("active")) == "b"
    assert chosen("a", "b", a={"ansible_facts": {}}, b=host("inactive")) == "b"
    assert chosen("a", "b") == "a"


def test_a_single_one_needs_no_look() -> None:
    assert chosen("a") == "a"
    assert chosen() == ""


PLANNED: dict[str, Any] = {"__slurm_conf_plan": {"parts": []}}
LEFT: dict[str, Any] = {**PLANNED, "__slurm_conf_pending": ["AuthAltTypes=auth/jwt"]}


@pytest.mark.parametrize(("kept", "word"), [({}, ""), (PLANNED, "merged"), (LEFT, "left")])
def test_what_came_of_the_file_of_the_one_in_charge(kept: dict[str, Any], word: str) -> None:
    came = serving.FilterModule().filters()["conf_came"]
    assert came(["a"], {"a": {**host("active"), **kept}}) == word
    for other in ({}, PLANNED, LEFT):
        hosts = {"a": {**host("failed"), **other}, "b": {**host("active"), **kept}}
        assert came(["a", "b"], hosts) == word


def test_nothing_is_known_before_any_play_and_without_a_controller() -> None:
    came = serving.FilterModule().filters()["conf_came"]
    assert came(["a", "b"], {}) == ""
    assert came([], {"rest": {}}) == ""


CHANGED: dict[str, Any] = {"__slurm_conf_result": {"changed": True}}
SERVED: dict[str, Any] = {"__slurmrestd_service_result": {"changed": True}}


@pytest.mark.parametrize(
    ("leader", "own", "check", "said"),
    [
        ({}, {}, False, True),
        ({}, {}, True, True),
        (PLANNED, {}, True, True),
        (LEFT, {}, False, False),
        (LEFT, {}, True, False),
        ({**PLANNED, **CHANGED}, SERVED, False, True),
        (CHANGED, {}, True, False),
        ({}, SERVED, True, False),
        ({"__slurm_conf_result": {"changed": False, "skipped": True}}, {"__slurmrestd_service_result": {}}, True, True),
    ],
)
def test_what_can_be_proven(leader: dict[str, Any], own: dict[str, Any], check: bool, said: bool) -> None:
    """Not before tokens are accepted; and in check mode not what the real run is still to change."""
    provable = serving.FilterModule().filters()["provable"]
    hosts = {"a": {**host("failed"), **LEFT, **CHANGED}, "b": {**host("active"), **leader}, "rest": own}
    assert provable(["a", "b"], hosts, "rest", check) is said
