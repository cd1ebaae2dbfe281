"""The action that adds on the controller what the release table says of a host's Slurm."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase
from slurmrest.facts.detection import columns, detect
from slurmrest.facts.host import look

plugin = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.action.slurm_facts")


def run(answer: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the result, and what the module was told."""
    told: dict[str, Any] = {}

    def execute(_action: object, module_args: dict[str, Any], **_more: object) -> dict[str, Any]:
        told.update(module_args)
        return answer

    monkeypatch.setattr(ActionBase, "run", lambda *_words, **_more: {})
    monkeypatch.setattr(plugin.ActionModule, "_execute_module", execute)
    action = object.__new__(plugin.ActionModule)
    action._task = SimpleNamespace(args={"account": "nobody"})
    return action.run(task_vars={}), told


def facts_of(version: str | None) -> dict[str, Any]:
    return {**look({"account": "nobody"}, columns()), "version": version}


def test_the_row_comes_from_the_controller(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = facts_of("24.11.5")
    assert "release" not in seen
    result, told = run({"ansible_facts": {"slurmrest": seen}}, monkeypatch)
    assert told == {"account": "nobody", "columns": columns()}
    facts = result["ansible_facts"]["slurmrest"]
    assert (facts["release"]["series"], facts["warning"], facts["release_error"]) == ("24.11", None, None)
    assert "warnings" not in result


def test_a_release_beyond_the_table_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _told = run({"ansible_facts": {"slurmrest": facts_of("99.05.1")}, "warnings": ["before"]}, monkeypatch)
    assert result["warnings"][0] == "before"
    assert "99.05.1 is not in the release table" in result["warnings"][1]


def test_a_host_without_slurm_has_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _told = run({"ansible_facts": {"slurmrest": facts_of(None)}}, monkeypatch)
    assert result["ansible_facts"]["slurmrest"]["release"] is None


def test_a_failure_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run({"failed": True, "msg": "refused"}, monkeypatch)[0] == {"failed": True, "msg": "refused"}


def test_both_ways_find_the_same() -> None:
    """As a command does on its own host, and as module and action do together."""
    own = detect({"account": "nobody"})
    assert set(own) - set(look({"account": "nobody"}, columns())) == {"release", "warning", "release_error", "digest"}
