"""The action that gathers for a doctor: whom it has looked up of a client's request."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import ActionBase
from slurmrest.auth.jwt import Key, claims_for, encode
from slurmrest.facts.detection import columns
from slurmrest.facts.host import look

gather = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.action.slurm_gather")


def given(monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> dict[str, Any]:
    """Return what the module gets."""
    seen: dict[str, Any] = {}

    def execute(_action: object, module_name: str, module_args: dict[str, Any], **_more: object) -> dict[str, Any]:
        assert module_name == (gather.QUICK if arguments.get("quick") else gather.WHOLE)
        seen.update(module_args)
        return {"evidence": {"facts": {"version": None}, "keys": {}, "controllers": None}}

    monkeypatch.setattr(ActionBase, "run", lambda *_words, **_more: {})
    monkeypatch.setattr(gather.ActionModule, "_execute_module", execute)
    action = object.__new__(gather.ActionModule)
    action._task, action._loader = SimpleNamespace(args=arguments), DataLoader()
    action.run(task_vars={})
    assert seen.pop("columns")
    return seen


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    file = tmp_path / "token"
    file.write_text(f"SLURM_JWT={encode(claims_for('bob'), Key(bytes(32))).reveal()}\n")
    return str(file)


def test_header_and_token_may_name_two_users(monkeypatch: pytest.MonkeyPatch, token_file: str) -> None:
    request = {"method": "GET", "path": "/x", "user": "alice", "token_file": token_file}
    seen = given(monkeypatch, request=request, roles=["slurmctld"])
    assert seen == {"users": ["alice", "bob"], "roles": ["slurmctld"]}
    assert given(monkeypatch, request={"user": "bob", "token_file": token_file})["users"] == ["bob"]
    assert given(monkeypatch, request={"user": "", "token_file": token_file}, users=["eve"])["users"] == ["eve", "bob"]


def test_facts_of_ansible_s_own_are_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the inventory names no Python, Ansible's result says which one it found: the doctor ended over it."""
    found = {"discovered_interpreter_python": "/usr/bin/python3.13"}
    evidence = {"facts": {"version": None}, "keys": {}, "controllers": None}
    monkeypatch.setattr(ActionBase, "run", lambda *_words, **_more: {})
    monkeypatch.setattr(
        gather.ActionModule, "module", lambda *_of: {"evidence": dict(evidence), "ansible_facts": dict(found)}
    )
    action = object.__new__(gather.ActionModule)
    action._task, action._loader = SimpleNamespace(args={"roles": []}), DataLoader()
    result = action.run(task_vars={})
    assert result["ansible_facts"] == found
    assert result["evidence"]


def test_what_was_gathered_of_a_daemon_that_only_just_started_is_gathered_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: dict[str, Any] = look({"account": "nobody"}, columns())
    ran: list[str] = []

    def module(_action: object, name: str, _arguments: object) -> dict[str, Any]:
        ran.append(name)
        seen["units"]["slurmctld"]["starting"] = len(ran) == 1
        evidence = {"facts": dict(seen), "keys": {}, "controllers": None}
        return {"evidence": evidence, "ansible_facts": {"slurmrest": dict(seen)}, "sight": {}, "waited": True}

    monkeypatch.setattr(ActionBase, "run", lambda *_words, **_more: {})
    monkeypatch.setattr(gather.ActionModule, "module", module)
    monkeypatch.setattr(gather, "judged", lambda evidence: evidence)
    action = object.__new__(gather.ActionModule)
    action._task, action._loader = SimpleNamespace(args={"quick": True}), DataLoader()
    before = time.time()
    result = action.run(task_vars={})
    assert ran == [gather.QUICK, "slurmrest.toolkit.slurm_patience", gather.QUICK]
    assert before < result["sight"]["at"] < time.time()


def test_a_quick_look_takes_few_files_along(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given(monkeypatch, quick=True) == given(monkeypatch) == {"users": []}


def test_without_a_request_or_with_no_token_nobody_is_added(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert given(monkeypatch)["users"] == []
    (tmp_path / "none").write_text("not a token\n")
    assert given(monkeypatch, request={"token_file": str(tmp_path / "none")})["users"] == []
    with pytest.raises(AnsibleError, match=r"token_file: .*gone' cannot be read"):
        given(monkeypatch, request={"token_file": str(tmp_path / "gone")})
