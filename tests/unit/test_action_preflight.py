"""The action that judges on the controller, and asks the host only for what its facts do not tell."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase
from slurmrest.facts.detection import detect

preflight = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.action.slurmrestd_preflight")
LISTEN = "slurmrestd_service_listen"


def run(
    arguments: dict[str, Any], facts: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, Any], list[str]]:
    """Return the result, and the modules that ran on the host."""
    modules: list[str] = []

    def execute(_action: object, module_name: str, task_vars: dict[str, Any], **_more: object) -> dict[str, Any]:
        modules.append(module_name)
        assert task_vars["ansible_no_target_syslog"]
        return {"changed": False, "problems": [], "invocation": {"module_args": arguments}}

    monkeypatch.setattr(ActionBase, "run", lambda *_words, **_more: {})
    monkeypatch.setattr(preflight.ActionModule, "_execute_module", execute)
    action = object.__new__(preflight.ActionModule)
    action._task = SimpleNamespace(args=arguments)
    known = {"ansible_facts": {"slurmrest": facts}} if facts is not None else {"ansible_facts": {}}
    result = action.run(task_vars=known)
    assert "invocation" not in result  # the daemon's variables are among the arguments
    return result, modules


def test_variables_are_judged_on_the_controller_by_the_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = detect({"account": "nobody-has-this-name"})
    result, modules = run({"variables": {"slurmrestd_service_auth": "none"}}, facts, monkeypatch)
    assert modules == []
    assert result["failed"]
    assert "slurmrestd_service_auth" in result["msg"]


@pytest.mark.parametrize("facts", [None, {"paths": {}, "groups": {}}])
def test_the_host_is_asked_for_what_the_facts_do_not_tell(
    facts: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, modules = run({"variables": {LISTEN: ["unix:/run/x/y"]}}, facts, monkeypatch)
    assert modules == ["slurmrest.toolkit.slurmrestd_preflight"]
    assert not result.get("failed")


def test_what_the_module_refuses_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    _, modules = run({"variables": "nonsense"}, {"paths": {}, "groups": {}}, monkeypatch)
    assert len(modules) == 1
