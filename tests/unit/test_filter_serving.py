"""Whom a run asks of several controllers, by the facts that it has."""

from __future__ import annotations

import importlib
from typing import Any

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


def test_the_variables_of_the_one_in_charge() -> None:
    hosts = {"a": host("failed"), "b": {**host("active"), "__slurm_conf_pending": True}}
    found = serving.FilterModule().filters()["serving_hostvars"](["a", "b"], hosts)
    assert found["__slurm_conf_pending"] is True
