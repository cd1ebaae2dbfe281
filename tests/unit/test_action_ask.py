"""The action that asks slurmrestd for a doctor: when it has a token made for that."""

from __future__ import annotations

import importlib
import json
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.doctor.test_doctor import evidence

minting = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.plugin_utils.minting")
ask = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.action.slurm_ask")


def asked(monkeypatch: pytest.MonkeyPatch, *hosts: dict[str, Any]) -> tuple[list[str], tuple[str | None, str | None]]:
    """Who was asked for a token, and what came of it."""
    calls = []

    def result_on(_action: object, host: str, _module: str, arguments: dict[str, Any], _vars: object) -> dict[str, Any]:
        calls.append(host)
        return {"tokens": dict.fromkeys(arguments["users"], "a token")}

    monkeypatch.setattr(minting, "result_on", result_on)
    found = {f"ctl{number}": host for number, host in enumerate(hosts, start=1)}
    variables = {"hostvars": {name: {"seen": {"evidence": json.dumps(host)}} for name, host in found.items()}}
    action = object.__new__(ask.ActionModule)
    action._task = SimpleNamespace(args={"evidence": "seen"})
    action.variables = variables
    return calls, action._token({"controllers": list(found)}, ask.Cluster.of(found))


def test_a_controller_that_does_not_run_is_not_asked_for_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped, running = evidence("slurmctld-stopped")["hosts"]["node1"], evidence()["hosts"]["node1"]
    assert asked(monkeypatch, stopped) == ([], (None, "slurmctld does not run on ctl1"))
    assert asked(monkeypatch, running) == (["ctl1"], ("a token", None))
    assert asked(monkeypatch, stopped, running)[0] == ["ctl1"]  # its backup answers
    assert asked(monkeypatch, {**stopped, "roles": ["slurmrestd"]})[0] == ["ctl1"]  # the controller is no host of ours
