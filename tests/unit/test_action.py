"""What all action plugins have in common."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from slurmrest.facts.detection import columns
from slurmrest.facts.host import look

HERE = "ansible_collections.slurmrest.toolkit.plugins"
common = importlib.import_module(f"{HERE}.plugin_utils.action")
facts = importlib.import_module(f"{HERE}.plugin_utils.facts")
peer = importlib.import_module(f"{HERE}.plugin_utils.peer")
PLUGINS = sorted(path.stem for path in (Path(__file__).parents[2] / "plugins" / "action").glob("*.py"))

Ran = list[tuple[str, str, dict[str, Any]]]


@pytest.fixture(name="ran")
def modules_that_run(monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Host, module and arguments of all that runs; a look finds a host without Slurm, or is refused."""
    ran: Ran = []

    def answer(host: str, module: str, arguments: dict[str, Any]) -> dict[str, Any]:
        ran.append((host, module, arguments))
        if arguments.get("instance") == "..":
            return {"failed": True, "msg": "'..' is refused"}
        if module == facts.MODULE:
            return {"ansible_facts": {"slurmrest": look({"account": "nobody"}, columns())}}
        return {"changed": False}

    def execute(_action: object, module_name: str, module_args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        return answer(task_vars["inventory_hostname"], module_name, module_args)

    def result_on(_action: object, host: str, module: str, arguments: dict[str, Any], _vars: object) -> Any:
        return answer(host, module, arguments)

    monkeypatch.setattr(ActionBase, "run", lambda *_words, **_more: {})
    monkeypatch.setattr(ActionBase, "_execute_module", execute)
    monkeypatch.setattr(facts, "result_on", result_on)
    return ran


class Some(common.Action):  # type: ignore[name-defined,misc]
    """One that changes what it was given."""

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        arguments["more"] = arguments.pop("name") + self.here
        result: dict[str, Any] = self.module("a.module", arguments)
        return result


def action(**arguments: Any) -> Any:
    made = object.__new__(Some)
    made._task = SimpleNamespace(args=arguments)
    made.variables = {"inventory_hostname": "here"}
    return made


def test_an_action_gets_a_copy_of_its_arguments(ran: Ran) -> None:
    some = action(name="x")
    assert some.run(task_vars={"inventory_hostname": "ctl"}) == {"changed": False}
    assert ran == [("ctl", "a.module", {"more": "xctl"})]
    assert some._task.args == {"name": "x"}


@pytest.mark.parametrize("name", PLUGINS)
def test_every_action_plugin_begins_with_it(name: str) -> None:
    plugin = importlib.import_module(f"{HERE}.action.{name}").ActionModule
    assert plugin.__mro__[1].__name__ == common.Action.__name__
    assert "act" in vars(plugin)
    assert "run" not in vars(plugin)
    assert plugin._supports_check_mode


def test_facts_of_the_task_s_host_and_of_another(ran: Ran) -> None:
    for host, asked in (("", "here"), ("other", "other")):
        found = facts.looking(action(), {"slurm_conf": "/c"}, host)["ansible_facts"]["slurmrest"]
        assert {"release", "digest"} <= set(found), "complete"
        assert ran.pop() == (asked, facts.MODULE, {"slurm_conf": "/c", "columns": columns()})
    assert facts.looked(action(), {})["digest"]


@pytest.mark.parametrize("took", [True, False])
def test_daemons_that_only_just_started_are_waited_for_before_the_look_that_counts(
    monkeypatch: pytest.MonkeyPatch, *, took: bool
) -> None:
    """The module that waits is no part of the look, which all runs take along."""
    seen = look({"account": "nobody"}, columns())
    seen["units"]["slurmdbd"]["starting"] = True
    ran = []

    def answer(_action: object, module: str, arguments: dict[str, Any]) -> dict[str, Any]:
        ran.append(module)
        if module == facts.PATIENCE:
            assert set(arguments["facts"]) == {"units", "slurm_conf", "slurmdbd_conf", "prefix"}
            return {"waited": took}
        return {"ansible_facts": {"slurmrest": dict(seen)}}

    monkeypatch.setattr(Some, "module", answer)
    assert facts.looking(action(), {})["ansible_facts"]["slurmrest"]["digest"]
    assert ran == [facts.MODULE, facts.PATIENCE, *([facts.MODULE] if took else [])]


def test_a_look_that_is_refused(ran: Ran) -> None:
    assert facts.looking(action(), {"instance": ".."}, "other")["failed"]
    with pytest.raises(AnsibleError, match=r"slurm_facts: '\.\.' is refused"):
        facts.looked(action(), {"instance": ".."})
    assert len(ran) == 2


def test_what_a_task_was_given() -> None:
    given: dict[str, Any] = {"a": "x", "b": "", "c": None, "d": False, "e": 0, "f": []}
    assert common.given(given, [*given, "g"]) == {"a": "x", "d": False, "e": 0, "f": []}
    assert common.given(given, ["a"]) == {"a": "x"}


def test_a_module_that_failed_ends_what_needs_it() -> None:
    assert peer.succeeded({"changed": True}, "a.module", "ctl") == {"changed": True}
    with pytest.raises(AnsibleError, match=r"^a\.module on ctl: no space$"):
        peer.succeeded({"failed": True, "msg": "no space"}, "a.module", "ctl")
    with pytest.raises(AnsibleError, match="without a message"):
        peer.succeeded({"failed": True}, "a.module", "ctl")
