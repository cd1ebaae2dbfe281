"""The action that leads a rotation: which service it asks on the REST host."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase

standby = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.plugin_utils.standby")
looks = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.plugin_utils.facts")
rotation = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.action.key_rotation")


FACTS = {
    "unit": {"listeners": [{"text": "127.0.0.1:6820"}], "user": "slurmrestd"},
    "slurm_conf": {"accounting": True},
    "version": "24.11.5",
}
"""Of the REST host."""


class Asking:
    """A conductor that asks the REST host once."""

    def __init__(self, _looks: object, _primary: str, _call: object, watch: Any, _say: object, **_more: object) -> None:
        self.watch = watch

    def rotate(self) -> dict[str, Any]:
        self.watch("start")
        return {"changeover": 0.1, "gap": {}, "requests": 1}


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({}, {}),
        ({"slurm_conf": "/opt/slurm/etc/slurm.conf"}, {"slurm_conf": "/opt/slurm/etc/slurm.conf"}),
        ({"instance": "beta"}, {"instance": "beta"}),
        ({"instance": "beta", "slurm_conf": "/opt/slurm/etc/slurm.conf"}, {"instance": "beta"}),
    ],
)
def test_the_service_of_this_cluster_is_asked(
    given: dict[str, str], asked: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def result_on(_action: object, host: str, module: str, arguments: dict[str, Any], _variables: object) -> Any:
        seen.append((host, module, arguments))
        return {"ansible_facts": {"slurmrest": FACTS}} if module == looks.MODULE else {"paths": {}}

    monkeypatch.setattr(ActionBase, "run", lambda *_words, **_more: {})
    monkeypatch.setattr(rotation, "Conductor", Asking)
    for asking in (rotation, looks):
        monkeypatch.setattr(asking, "result_on", result_on)
    action = object.__new__(rotation.ActionModule)
    arguments = {"step": "rotate", "hosts": {}, "primary": "ctl", "rest_host": "rest", "user": "root", **given}
    action._task = SimpleNamespace(args=arguments, check_mode=False)
    assert action.run(task_vars={"inventory_hostname": "ctl"})["changed"]
    service = {"url": "http://127.0.0.1:6820", "account": "slurmrestd", "accounting": True}
    (_host, module, looked), (host, watching, told) = seen
    assert (module, {name: looked[name] for name in looked if name != "columns"}) == (looks.MODULE, asked)
    assert (host, watching) == ("rest", "slurmrest.toolkit.token_watch")
    assert told.pop("lame") == ["v0.0.39"]
    assert told.pop("unit") == ("slurmrestd@beta.service" if "instance" in asked else "slurmrestd.service")
    assert told == {"user": "root", "step": "start", **service}


def test_each_host_is_told_of_its_own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def result_on(_action: object, host: str, _module: str, arguments: dict[str, Any], _variables: object) -> Any:
        seen.append((host, arguments["path"], arguments.get("slurm_conf"), arguments["daemons"]))
        return {}

    monkeypatch.setattr(rotation, "result_on", result_on)
    action = object.__new__(rotation.ActionModule)
    hosts = {
        "ctl": {"own": {"path": "/key", "daemons": ["a"]}, "components": ["slurmctld"], "ports": {}},
        "ctl2": {"own": {"path": "/own", "daemons": ["b"], "slurm_conf": "/opt/c"}, "components": [], "ports": {}},
    }
    action._task = SimpleNamespace(args={"step": "rotate", "hosts": hosts, "path": "/key", "daemons": ["a"]})
    action._primary, action._user, action.variables = "ctl", {"user": "root"}, {}
    for host in hosts:
        action._call(host, "switch", {"daemons": ["slurmctld"]})
    assert seen == [("ctl", "/key", None, ["a"]), ("ctl2", "/own", "/opt/c", ["b"])]


class Leading:
    """A conductor that has one controller stopped while it works; the work may fail."""

    fails = False

    def __init__(self, *_words: object, alone: Any, **_more: object) -> None:
        self.alone: Any = alone

    def rotate(self) -> dict[str, Any]:
        aside: AbstractContextManager[None] = self.alone(["ctl2"])
        with aside:
            if self.fails:
                raise rotation.RotationFailed("the old key is back")
        return {"changeover": 0.1, "gap": {}, "requests": 1}


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("comes_back", [False, True])
def test_who_stood_aside_and_does_not_come_back_is_a_failure(
    fails: bool, comes_back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def result_on(_action: object, host: str, module: str, arguments: dict[str, Any], _variables: object) -> Any:
        asked.append((host, module, *arguments["argv"]))
        return {"rc": int(arguments["argv"] == ["back"] and not comes_back), "stderr": "not so"}

    monkeypatch.setattr(ActionBase, "run", lambda *_words, **_more: {})
    monkeypatch.setattr(Leading, "fails", fails)
    monkeypatch.setattr(rotation, "Conductor", Leading)
    monkeypatch.setattr(standby, "result_on", result_on)
    action = object.__new__(rotation.ActionModule)
    arguments = {
        "step": "rotate",
        "hosts": {},
        "primary": "ctl",
        "rest_host": "rest",
        "aside": ["aside"],
        "back": ["back"],
    }
    action._task = SimpleNamespace(args=arguments, check_mode=False)
    result = action.run(task_vars={"inventory_hostname": "ctl"})
    assert asked == [("ctl2", "ansible.builtin.command", word) for word in ("aside", "back")]
    words = result.get("msg", "")
    assert bool(result.get("failed")) is (fails or not comes_back)
    assert ("the old key is back" in words) is fails
    assert ("slurmctld on ctl2, which was stopped" in words) is not comes_back
