"""The action that merges over several hosts: order, hold and commit, and the way back, with hosts that are played."""

from __future__ import annotations

import importlib
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleError

merge = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.action.slurm_conf_merge")
standby = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.plugin_utils.standby")


def part(kind: str, *, changed: bool = True, running: bool = True, obstacles: tuple[str, ...] = ()) -> dict[str, Any]:
    path = "/etc/slurm/slurmdbd.conf" if kind == "slurmdbd" else "/etc/slurm/slurm.conf"
    return {
        "kind": kind,
        "path": path,
        "changed": changed,
        "running": running,
        "digests": {path: kind},
        "obstacles": [*obstacles],
    }


def plan(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"parts": list(parts), "diff": [], "request": {"jwt_key": "/key", "parts": "all of them"}}


PLANS = {
    "db": plan(part("slurmdbd")),
    "backup": plan(part("slurmctld")),
    "primary": plan(part("slurmdbd"), part("slurmctld")),
    "rest": plan(part("copy", running=False)),
}
ORDER = ["db slurmdbd", "primary slurmdbd", "backup slurmctld", "primary slurmctld", "rest copy"]


class Hosts:
    """Plays the module on every host; ``refuses`` is the step at which one of them says no."""

    def __init__(self, refuses: str = "", cannot: str = "") -> None:
        self.refuses = refuses
        self.cannot = cannot
        self.calls: list[tuple[str, str, dict[str, Any]]] = []

    def run_on(
        self, _action: object, host: str, _module: str, arguments: dict[str, Any], _vars: object
    ) -> dict[str, Any]:
        assert len(arguments["parts"]) == 1
        kind = arguments["parts"][0]["kind"]
        step = arguments.get("step", "apply")
        self.calls.append((f"{host} {kind}", step, arguments))
        if step == "apply" and f"{host} {kind}" == self.refuses:
            raise AnsibleError(f"{host}: fatal: no")
        if step == "undo" and f"{host} {kind}" == self.cannot:
            raise AnsibleError("unreachable")
        return {"restarted": [kind] if arguments.get("force") else [], "recovered": []}

    def steps(self, name: str) -> list[str]:
        return [where for where, step, _arguments in self.calls if step == name]

    def result_on(
        self, _action: object, host: str, _module: str, arguments: dict[str, Any], _vars: object
    ) -> dict[str, Any]:
        self.calls.append((host, *arguments["argv"], arguments))
        return {"rc": int([host, *arguments["argv"]] == self.cannot.split()), "stderr": "no"}


def run(hosts: Hosts, plans: dict[str, Any], monkeypatch: pytest.MonkeyPatch, leader: str = "") -> dict[str, Any]:
    monkeypatch.setattr(merge, "run_on", hosts.run_on)
    monkeypatch.setattr(standby, "result_on", hosts.result_on)
    action = object.__new__(merge.ActionModule)
    action._task = SimpleNamespace(args={"aside": ["aside"], "back": ["back"]})
    result: dict[str, Any] = {"restarted": [], "recovered": []}
    action.variables = {}
    action._apply(merge.in_order(plans), plans, result, leader)
    return result


def test_order() -> None:
    assert [f"{host} {part['kind']}" for host, part in merge.in_order(PLANS)] == ORDER
    assert merge.in_order({"ctl": plan(part("slurmctld", changed=False))}) == []


def test_all_hosts_hold_until_the_last_agreed(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts()
    result = run(hosts, PLANS, monkeypatch)
    assert hosts.steps("apply") == hosts.steps("commit") == ORDER
    assert [step for _where, step, _arguments in hosts.calls] == ["apply"] * 5 + ["commit"] * 5
    applied = [arguments for _where, step, arguments in hosts.calls if step == "apply"]
    assert all(arguments["hold"] and arguments["jwt_key"] == "/key" for arguments in applied)
    assert [arguments["force"] for arguments in applied] == [True, True, True, True, False]
    assert applied[0]["digests"] == {"/etc/slurm/slurmdbd.conf": "slurmdbd"}
    assert result["restarted"][0] == "slurmdbd on db"


@pytest.mark.parametrize("refuses", ["", "primary slurmctld"])
def test_nobody_stands_by_while_the_leader_restarts(monkeypatch: pytest.MonkeyPatch, refuses: str) -> None:
    hosts = Hosts(refuses)
    with suppress(AnsibleError):
        run(hosts, PLANS, monkeypatch, leader="primary")
    steps = [(where, step) for where, step, _arguments in hosts.calls]
    at = steps.index(("primary slurmctld", "apply"))
    assert steps[at - 1] == ("backup", "aside")
    assert steps[at + 1] == ("backup", "back")
    assert [step for _where, step in steps].count("aside") == 1


def test_nobody_stands_by_while_the_leader_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts("rest copy")
    with pytest.raises(AnsibleError):
        run(hosts, PLANS, monkeypatch, leader="primary")
    steps = [(where, step) for where, step, _arguments in hosts.calls]
    at = steps.index(("primary slurmctld", "undo"))
    assert steps[at - 1] == ("backup", "aside")
    assert steps[at + 1] == ("backup", "back")
    assert [step for _where, step in steps].count("aside") == 2


def test_the_way_back_knows_who_did_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The primary is down, and the backup in charge."""
    plans = {
        "primary": plan(part("slurmctld", running=False)),
        "backup": plan(part("slurmctld")),
    }
    hosts = Hosts("backup slurmctld")
    with pytest.raises(AnsibleError):
        run(hosts, plans, monkeypatch, leader="backup")
    undone = {where: arguments["force"] for where, step, arguments in hosts.calls if step == "undo"}
    assert undone == {"primary slurmctld": False, "backup slurmctld": True}


def test_who_cannot_leave_is_not_brought_back(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(cannot="backup aside")
    result = run(hosts, PLANS, monkeypatch, leader="primary")
    assert hosts.steps("aside") == ["backup"]
    assert hosts.steps("back") == []
    assert not result.get("failed")


def test_who_does_not_come_back_is_a_failure_that_takes_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(cannot="backup back")
    result = run(hosts, PLANS, monkeypatch, leader="primary")
    assert result["failed"]
    assert (
        "slurmctld on backup, which was stopped while the one in charge restarted, does not start again"
        in result["msg"]
    )
    assert hosts.steps("commit") == ORDER
    assert hosts.steps("undo") == []
    hosts = Hosts(refuses="primary slurmctld", cannot="backup back")
    with pytest.raises(AnsibleError, match=r"fatal: no(.|\n)*slurmctld on backup"):
        run(hosts, PLANS, monkeypatch, leader="primary")


@pytest.mark.parametrize(
    ("parts", "leader"), [((False, True), "primary"), ((True, False), "primary"), ((True, True), "other")]
)
def test_nobody_leaves_for_one_that_does_not_lead(parts: tuple[bool, bool], leader: str) -> None:
    backup, primary = (part("slurmctld", running=running) for running in parts)
    plans = {"backup": plan(backup), "primary": plan(primary)}
    assert merge.standing_by(plans, leader, "primary", primary) == []


def test_one_step_needs_no_second_word(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts()
    run(hosts, {"ctl": plan(part("slurmctld"))}, monkeypatch)
    assert [(step, arguments["hold"]) for _where, step, arguments in hosts.calls] == [("apply", False)]


def test_who_refuses_takes_all_before_him_back_and_is_seen_to_last(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(refuses="primary slurmctld")
    with pytest.raises(AnsibleError) as caught:
        run(hosts, PLANS, monkeypatch)
    assert hosts.steps("apply") == ORDER[:4]
    assert hosts.steps("undo") == ["backup slurmctld", "primary slurmdbd", "db slurmdbd", "primary slurmctld"]
    assert hosts.steps("commit") == []
    assert "fatal: no" in str(caught.value)
    assert "The previous files are back on db, primary, backup as well" in str(caught.value)


def test_a_shared_file_is_written_before_those_who_only_read_it_have_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = plan(part("slurmctld", obstacles=("a read-only mount",)))
    plans = {"one": reader, "two": reader, "primary": plan(part("slurmctld")), "db": plan(part("slurmdbd"))}
    hosts = Hosts(refuses="two slurmctld")
    with pytest.raises(AnsibleError):
        run(hosts, plans, monkeypatch)
    assert hosts.steps("apply") == ["db slurmdbd", "primary slurmctld", "one slurmctld", "two slurmctld"]
    assert [arguments["wait"] for _where, step, arguments in hosts.calls if step == "apply"] == [
        False,
        False,
        True,
        True,
    ]
    assert hosts.steps("undo") == ["primary slurmctld", "db slurmdbd", "one slurmctld", "two slurmctld"]


def test_the_first_who_refuses_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(refuses="db slurmdbd")
    with pytest.raises(AnsibleError, match="fatal: no") as caught:
        run(hosts, PLANS, monkeypatch)
    assert hosts.steps("undo") == ["db slurmdbd"]
    assert "as well" not in str(caught.value)


def test_what_could_not_be_taken_back_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(refuses="primary slurmctld", cannot="db slurmdbd")
    with pytest.raises(AnsibleError, match="Not taken back: db: unreachable"):
        run(hosts, PLANS, monkeypatch)
    assert "primary slurmctld" in hosts.steps("undo")
