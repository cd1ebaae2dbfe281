"""Actions that look with few files, and take many along only where something is to be done."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase

Answers = dict[str, dict[str, Any]]
HERE = "ansible_collections.slurmrest.toolkit.plugins.action"


def run(name: str, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """Return the result, and which modules ran on the host, with the arguments that were not the task's."""
    plugin = importlib.import_module(f"{HERE}.{name}")
    ran: list[tuple[str, Any]] = []

    def execute(_action: object, module_name: str, module_args: Any = None, **_more: object) -> dict[str, Any]:
        short = module_name.removeprefix("slurmrest.toolkit.")
        ran.append((short, module_args))
        return dict(answers[short])

    monkeypatch.setattr(ActionBase, "run", lambda *_words, **_more: {})
    monkeypatch.setattr(plugin.ActionModule, "_execute_module", execute)
    action = object.__new__(plugin.ActionModule)
    action._task = SimpleNamespace(args={"name": "slurmrestd_service", "state": "absent"})
    return action.run(task_vars={}), ran


def test_a_host_that_is_as_it_shall_be_is_only_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {"changed": False, "diff": [], "settled": True}
    result, ran = run("host_transaction", {"host_transaction": seen}, monkeypatch)
    assert [module for module, _more in ran] == ["host_transaction"]
    assert result == {"changed": False, "diff": []}


def test_what_is_to_be_done_is_done_with_the_same_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    done = {"changed": True, "restarted": ["slurmctld"]}
    answers: Answers = {"host_transaction": {"changed": False, "settled": False}, "host_change": done}
    result, ran = run("host_transaction", answers, monkeypatch)
    assert ran == [("host_transaction", None), ("host_change", None)]
    assert result == done


def test_a_refusal_of_the_look_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {"failed": True, "msg": "mode: '0999' is refused"}
    result, ran = run("host_transaction", {"host_transaction": refused}, monkeypatch)
    assert result == refused
    assert len(ran) == 1


def test_only_what_is_remembered_is_brought_back(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = {"changed": False, "packages": []}
    result, ran = run("host_origin", {"host_origin": nothing}, monkeypatch)
    assert result == nothing
    assert [module for module, _more in ran] == ["host_origin"]
    back = {"changed": True, "packages": ["slurmrestd"]}
    answers: Answers = {"host_origin": {"changed": False, "remembered": True}, "host_former": back}
    result, ran = run("host_origin", answers, monkeypatch)
    assert result == back
    assert ran == [("host_origin", None), ("host_former", {"name": "slurmrestd_service"})]
