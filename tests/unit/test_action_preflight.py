"""The action that judges on the controller, and looks at the host only for what its facts do not tell."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from slurmrest.facts.detection import detect
from slurmrest.facts.host import look

preflight = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.action.slurmrestd_preflight")
LISTEN = "slurmrestd_service_listen"


def run(
    arguments: dict[str, Any], facts: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    """Return the result, and the modules that ran on the host with what they were told."""
    modules: list[tuple[str, dict[str, Any]]] = []

    def execute(_action: object, module_name: str, module_args: dict[str, Any], **_more: object) -> dict[str, Any]:
        modules.append((module_name, module_args))
        if module_args.get("instance") == "..":
            return {"failed": True, "msg": "slurm_common_slurmrestd_instance: '..' is refused"}
        return {"ansible_facts": {"slurmrest": look(module_args, module_args["columns"])}}

    monkeypatch.setattr(ActionBase, "run", lambda *_words, **_more: {})
    monkeypatch.setattr(preflight.ActionModule, "_execute_module", execute)
    action = object.__new__(preflight.ActionModule)
    action._task = SimpleNamespace(args=arguments)
    known = {"ansible_facts": {"slurmrest": facts}} if facts is not None else {"ansible_facts": {}}
    return action.run(task_vars=known), modules


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
    """The variables, among which secrets may be, do not go there."""
    secret = {"slurmrestd_service_environment": {"SITE_PASSWORD": "hunter2"}}
    variables = {LISTEN: ["unix:/run/x/y"], "slurm_common_slurmrestd_user": "nobody", **secret}
    result, modules = run({"variables": variables, "slurm_conf": "/etc/slurm/slurm.conf"}, facts, monkeypatch)
    ((name, told),) = modules
    assert name == "slurmrest.toolkit.slurm_facts"
    assert (told["account"], told["slurm_conf"]) == ("nobody", "/etc/slurm/slurm.conf")
    assert "/run/x" in told["paths"]
    assert "hunter2" not in str(told)
    assert "ansible_facts" not in result


def test_what_the_host_refuses_ends_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AnsibleError, match=r"'\.\.' is refused"):
        run({"variables": {}, "instance": ".."}, None, monkeypatch)


def test_variables_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AnsibleError, match="variables"):
        run({"variables": 7}, {"paths": {}, "groups": {}}, monkeypatch)
