"""The action that has a gateway looked at: which set of keys it has its host name."""

from __future__ import annotations

import importlib
import json
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase

gather = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.action.gateway_gather")


def told(monkeypatch: pytest.MonkeyPatch, registered: Any, **arguments: Any) -> tuple[Any, list[dict[str, Any]]]:
    """The result, and what the host was told."""
    ran: list[dict[str, Any]] = []

    def execute(_action: object, module_name: str, module_args: dict[str, Any], **_more: object) -> dict[str, Any]:
        assert module_name == gather.MODULE
        ran.append(module_args)
        return {"gateway": {"nginx": True}, "taken": None}

    monkeypatch.setattr(gather.ActionModule, "_execute_module", execute)
    monkeypatch.setattr(ActionBase, "run", lambda *_words, **_more: {})
    action = object.__new__(gather.ActionModule)
    action._task = SimpleNamespace(args={"evidence": "seen", **arguments})
    return action.run(task_vars={"inventory_hostname": "gw", "seen": registered}), ran


@pytest.mark.parametrize(
    ("slurm", "dbd", "path"), [("/k", "/d", "/k"), ("", "/d", "/d"), ("", "", ""), ("/k", "", "/k")]
)
def test_the_set_that_a_daemon_loads(monkeypatch: pytest.MonkeyPatch, slurm: str, dbd: str, path: str) -> None:
    facts = {"slurm_conf": {"jwks": slurm}, "slurmdbd_conf": {"jwks": dbd}}
    result, ran = told(monkeypatch, {"evidence": json.dumps({"facts": facts})})
    assert [asked["jwks"] for asked in ran] == [path]
    assert result["gateway"] == {"nginx": True}


@pytest.mark.parametrize("registered", [None, {}, {"evidence": None, "why": "connection lost"}])
def test_a_host_that_could_not_be_looked_at_is_not_asked(monkeypatch: pytest.MonkeyPatch, registered: Any) -> None:
    result, ran = told(monkeypatch, registered)
    assert ran == []
    assert (result.get("failed"), result["changed"], result["gateway"]) == (None, False, None)
