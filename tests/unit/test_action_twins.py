"""Actions that look with few files, and take many along only where something is to be done."""

from __future__ import annotations

import hashlib
import importlib
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from ansible.plugins.action import ActionBase
from slurmrest.bundle import bundle

if TYPE_CHECKING:
    from pathlib import Path

Answers = dict[str, dict[str, Any]]
NOTHING: dict[str, Any] = {}
TASK = {"name": "slurmrestd_service", "state": "absent"}
HERE = "ansible_collections.slurmrest.toolkit.plugins.action"
RESTART_COLUMNS = importlib.import_module(f"{HERE.rpartition('.')[0]}.plugin_utils.restart_columns").RESTART_COLUMNS


def run(
    name: str,
    answers: Answers,
    monkeypatch: pytest.MonkeyPatch,
    arguments: dict[str, Any] = TASK,
    facts: dict[str, Any] = NOTHING,
) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
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
    action._task = SimpleNamespace(args=dict(arguments))
    result: dict[str, Any] = action.run(task_vars={"ansible_facts": {"slurmrest": facts}})
    assert not [module for module, told in ran if "sight" in told]  # no host is told what was seen of it
    return result, ran


def test_a_host_that_is_as_it_shall_be_is_only_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {"changed": False, "diff": [], "settled": True}
    result, ran = run("host_transaction", {"host_transaction": seen}, monkeypatch)
    assert [module for module, _more in ran] == ["host_transaction"]
    assert result == {"changed": False, "diff": []}


SIGHT = {"files": {}, "directories": {}, "units": {"slurmrestd": {"ActiveState": "active"}}, "unfinished": []}
STARTED = {"name": "slurmrestd_service", "services": [{"name": "slurmrestd"}]}


def sighted(monkeypatch: pytest.MonkeyPatch, seconds: float = 1.0, digest: str = "d1", **other: Any) -> Any:
    """Return the result, and the modules that ran, of a task that is given what was seen so many seconds ago."""
    sight = {**SIGHT, "at": time.time() - seconds, "digest": "d1"}
    seen: Answers = {"host_transaction": {"changed": False, "settled": True}}
    result, ran = run("host_transaction", seen, monkeypatch, {**STARTED, "sight": sight, **other}, {"digest": digest})
    return result, [module for module, _more in ran]


def test_a_host_that_was_just_seen_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    result, ran = sighted(monkeypatch)
    assert ran == []
    assert (result["changed"], result["changed_paths"], result["seen"]) == (False, [], "d1")


def test_a_host_is_asked_where_it_may_be_otherwise_by_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """After five minutes, where a clock was set back, where its facts have changed, where more has to be read."""
    asked = ["host_transaction"]
    assert sighted(monkeypatch, seconds=301)[1] == asked
    assert sighted(monkeypatch, seconds=-60)[1] == asked
    assert sighted(monkeypatch, digest="d2")[1] == asked
    assert sighted(monkeypatch, set_aside=[{"path": "/etc/x", "lines": []}])[1] == asked
    assert sighted(monkeypatch, directories=[{"path": "/etc/x", "mode": "0999"}])[1] == asked
    assert sighted(monkeypatch, directories=[{"path": "/etc/y"}])[1] == asked  # it was not seen
    assert sighted(monkeypatch, sight={})[1] == asked


def test_a_host_is_not_looked_at_again_where_something_is_to_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """By what was just seen of it, or since a daemon that is to run did not when facts were read."""
    sight = {**SIGHT, "at": time.time(), "digest": "d1"}
    differs = {**STARTED, "sight": sight, "services": [{"name": "slurmrestd", "state": "restarted"}]}
    stopped = {"units": {"slurmrestd": {"active": "failed"}}}
    answers: Answers = {"host_transaction": {"settled": True}, "host_change": {"changed": True}}
    for arguments, facts in ((differs, {"digest": "d1"}), (STARTED, stopped)):
        result, ran = run("host_transaction", answers, monkeypatch, arguments, facts)
        assert [module for module, _more in ran] == ["host_change"]
        assert result == {"changed": True}


@pytest.mark.parametrize(
    ("service", "active"),
    [({"state": "if_running"}, "inactive"), ({}, "active"), ({"name": "mariadb"}, "inactive")],
    ids=["need not run", "runs", "not among the facts"],
)
def test_a_daemon_that_need_not_be_started_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, service: dict[str, str], active: str
) -> None:
    arguments = {"name": "one", "services": [{"name": "slurmrestd", **service}]}
    facts = {"units": {"slurmrestd": {"active": active}}}
    assert run("host_transaction", {"host_transaction": {"settled": True}}, monkeypatch, arguments, facts)[1] == [
        ("host_transaction", arguments)
    ]


def test_no_host_is_asked_where_it_is_only_to_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for other, seen in (({}, "d1"), ({"digest": "d2"}, ""), ({"sight": {}}, "")):
        result, ran = sighted(monkeypatch, asks=False, **other)
        assert (ran, result["changed"], result["seen"]) == ([], False, seen)


def test_what_is_to_be_done_is_done_with_the_same_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    done = {"changed": True, "restarted": ["slurmctld"]}
    answers: Answers = {"host_transaction": {"changed": False, "settled": False}, "host_change": done}
    result, ran = run("host_transaction", answers, monkeypatch)
    task = {"name": "slurmrestd_service", "state": "absent"}
    assert ran == [("host_transaction", task), ("host_change", {**task, **RESTART_COLUMNS})]
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
    answers: Answers = {
        "host_origin": {"changed": False, "remembered": ["slurmrestd_service"]},
        "host_former": back,
    }
    result, ran = run("host_origin", answers, monkeypatch)
    assert result == back
    assert ran == [("host_origin", TASK), ("host_former", {"name": "slurmrestd_service", **RESTART_COLUMNS})]


def test_all_that_is_remembered_under_a_beginning_is_brought_back(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["shared_key-a.key", "shared_key-b.key"]
    back = {"changed": True, "packages": [], "changed_paths": ["/k"], "diff": [{"before_header": "/k"}]}
    answers: Answers = {"host_origin": {"changed": False, "remembered": names}, "host_former": back}
    result, ran = run("host_origin", answers, monkeypatch)
    assert result == {**back, "changed_paths": ["/k", "/k"], "diff": [{"before_header": "/k"}] * 2}
    assert [more["name"] for module, more in ran if module == "host_former"] == names
    answers["host_former"] = {"failed": True, "msg": "no", "changed": False}
    result, ran = run("host_origin", answers, monkeypatch)
    assert result["failed"]
    assert [module for module, _more in ran] == ["host_origin", "host_former"]


@pytest.mark.parametrize("beginning", [True, False])
def test_a_beginning_is_many_names(beginning: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A key that was elsewhere before, and the one that waited in a rotation."""
    module = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.modules.host_origin")
    origin = module.Baseline(str(tmp_path))
    for name in ("shared_key-jwt.key", "shared_key-jwt.key.slurmrest-next", "shared_key-munge.key", "slurmrestd_user"):
        origin.remember(name, files={str(tmp_path / name): None})
    monkeypatch.setattr(module, "Baseline", lambda: origin)
    asked = {"state": "absent", "name": "shared_key-" if beginning else "shared_key-jwt.key", "shared": None}
    found = module.run({**asked, "own": None, "beginning": beginning, "but": ["shared_key-munge.key"]}, check=False)
    assert found["remembered"] == ["shared_key-jwt.key", "shared_key-jwt.key.slurmrest-next"][: 1 + beginning]


def test_a_configuration_is_judged_only_where_it_lacks_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks is not told of restarts, nor of what is for several hosts."""
    wanted = {"parts": [{"kind": "copy", "path": "/etc/slurm/slurm.conf"}], "jwt_key": "/key"}
    seen = {"changed": False, "parts": [], "settled": True}
    result, ran = run("slurm_conf_merge", {"slurm_conf_merge": seen}, monkeypatch, {**wanted, "leader": "ctl"})
    assert (result, ran) == ({"changed": False, "parts": []}, [("slurm_conf_merge", wanted)])
    planned = {"changed": True, "parts": [{"changed": True}], "advice": ["/etc/slurm/slurm.conf, line 3:"]}
    answers: Answers = {"slurm_conf_merge": {"settled": False}, "slurm_conf_merge_change": planned}
    result, ran = run("slurm_conf_merge", answers, monkeypatch, wanted)
    assert (result, ran[1:]) == (planned, [("slurm_conf_merge_change", {**wanted, **RESTART_COLUMNS})])


@pytest.mark.parametrize("timer", [True, False])
def test_keys_of_issuers_are_placed_only_where_they_are_not(timer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks is told which program a timer shall run, not what is in it; who changes brings it along.

    And who changes gets what the issuers told who looked.
    """
    wanted: dict[str, Any] = {"path": "/jwks.json", "issuers": []}
    wanted |= {"program": "/p", "settings": "/s"} if timer else {}
    digest = hashlib.sha256(bundle("jwks.command")).hexdigest() if timer else ""
    seen = {"changed": False, "keys": ["a"], "settled": True, "fetched": {"set": "{}"}}
    result, ran = run("slurm_jwks", {"slurm_jwks": seen}, monkeypatch, wanted)
    assert (result, ran) == ({"changed": False, "keys": ["a"]}, [("slurm_jwks", {**wanted, "digest": digest})])
    answers: Answers = {"slurm_jwks": {**seen, "settled": False}, "slurm_jwks_change": {"changed": True}}
    result, ran = run("slurm_jwks", answers, monkeypatch, wanted)
    assert (result, ran[1:]) == ({"changed": True}, [("slurm_jwks_change", {**wanted, "fetched": {"set": "{}"}})])
    failed = {"failed": True, "msg": "no answer"}
    assert run("slurm_jwks", {"slurm_jwks": failed}, monkeypatch, wanted)[0] == failed


KEY = {"path": "/key", "owner": "slurm", "group": "slurm", "source": "ctl1"}


@pytest.mark.parametrize("settled", [True, False])
def test_a_key_is_placed_only_where_it_is_not_in_place(settled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = importlib.import_module(f"{HERE}.shared_key")
    ran: list[tuple[str, str, set[str]]] = []

    def result_on(_action: object, host: str, module: str, arguments: dict[str, Any], _variables: object) -> Any:
        ran.append((host, module.removeprefix("slurmrest.toolkit."), set(arguments)))
        there = {"changed": False, "content": "a2V5"}
        if module == plugin.CHANGE:
            return {**there, "changed": True}
        return {**there, "settled": settled} if settled else {"changed": False, "settled": False}

    monkeypatch.setattr(ActionBase, "run", lambda *_words, **_more: {})
    monkeypatch.setattr(plugin, "result_on", result_on)
    action = object.__new__(plugin.ActionModule)
    action._task = SimpleNamespace(args=KEY, check_mode=False)
    result = action.run(task_vars={"inventory_hostname": "ctl2"})
    modules = ["shared_key"] if settled else ["shared_key", "shared_key_change"]
    assert [(host, module) for host, module, _given in ran] == [(h, m) for h in ("ctl1", "ctl2") for m in modules]
    assert result == {"changed": not settled}
    assert all("source" not in given and "columns" in given for _h, module, given in ran if module.endswith("change"))
