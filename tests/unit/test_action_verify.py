"""The controller's part of the verification: where it keeps what a host hands over."""

from __future__ import annotations

import importlib
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from slurmrest.verify.report import Report, Result

if TYPE_CHECKING:
    from pathlib import Path

verify = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.action.slurmrestd_verify")


def test_a_hosts_documents_have_names_of_ours(tmp_path: Path) -> None:
    (tmp_path / "reports" / "node1.").mkdir(parents=True)
    documents = {"html": "<html>", "xml": "<xml/>", "/../../elsewhere": "theirs"}
    verify._keep(tmp_path / "reports", "node1", documents)
    assert not (tmp_path / "elsewhere").exists()
    assert {path.name for path in (tmp_path / "reports").iterdir() if path.is_file()} == {"node1.html", "node1.xml"}


def test_a_host_that_hands_over_less(tmp_path: Path) -> None:
    with pytest.raises(AnsibleError, match="report_directory"):
        verify._keep(tmp_path, "node1", {"html": "<html>"})


def test_what_failed_is_told_alone() -> None:
    """Ansible prints all that a failed task returns, below the table that says the same."""
    results = [Result(name, name, ok, 0.0, "", "", "") for name, ok in (("port", True), ("diag", False), ("job", None))]
    report = Report("http://x", None, (), None, (results[0],), 0.0, 0)
    told = verify._result({"record": {}}, report)
    assert (told["report"]["ok"], [check["id"] for check in told["report"]["checks"]]) == (True, ["port"])
    told = verify._result({"record": {}}, replace(report, checks=tuple(results)))
    assert (told["failed"], [check["id"] for check in told["report"]["checks"]]) == (True, ["diag"])
    assert told["msg"] == "slurmrestd does not do what it should: diag"


UNITS = {"units": {"slurmrestd": {"active": "active"}}}
KEY = {"slurm_conf": {"jwks": "/etc/keys.json", "jwt_key": "/etc/jwt.key"}, **UNITS}
ISSUERS = {"slurm_conf": {"jwks": "/etc/keys.json", "jwt_key": ""}, **UNITS}
STOPPED = {**KEY, "units": {"slurmrestd": {"active": "inactive"}}}


NEEDS = {"prefix": "/usr", "slurmdbd_conf": {"exists": False}}


def asked(
    monkeypatch: pytest.MonkeyPatch,
    here: dict[str, Any],
    controller: dict[str, Any] | None = None,
    *,
    check_mode: bool = False,
    refused: bool = False,
    **arguments: Any,
) -> tuple[list[str], str]:
    """Return which modules ran, and what was said, where rest1 is verified and ctl1 makes the tokens, or refuses to.

    ``here`` are the facts that a look at rest1 brings, ``controller`` those that this run has of ctl1.
    """
    ran: list[str] = []

    def looked(*_words: object) -> dict[str, Any]:
        ran.append("slurm_facts on rest1")
        return here

    def result_on(_action: object, host: str, module: str, given: dict[str, Any], *_more: object) -> dict[str, Any]:
        name = module.rpartition(".")[2]
        own = ", makes its token" if given.get("mint") or given.get("lifespan") else ""
        ran.append(f"{name} on {host}{own}")
        return {"facts": here} if name == "slurmrestd_verify_unseen" else {"changed": False}

    def minted(_action: object, hosts: list[str], wanted: dict[str, Any], *_more: object) -> dict[str, str]:
        assert wanted["starting"], "after a power cut slurmctld answers late"
        ran.append(f"tokens on {hosts[0]}")
        if refused:
            raise verify.NoTokens("ctl1: scontrol token: no plugin")
        return {"root": "a.b.c", "alice": "a.b.d"}

    monkeypatch.setattr(ActionBase, "run", lambda *_words, **_more: {})
    monkeypatch.setattr(verify, "looked", looked)
    monkeypatch.setattr(verify, "with_release", dict)
    monkeypatch.setattr(verify, "result_on", result_on)
    monkeypatch.setattr(verify, "minted", minted)
    monkeypatch.setattr(verify, "told_of", lambda *_words, **_more: {})
    known = {"ctl1": {"ansible_facts": {"slurmrest": controller}}} if controller else {}
    action = object.__new__(verify.ActionModule)
    action._task = SimpleNamespace(args={"controllers": ["ctl1"], **arguments}, check_mode=check_mode)
    return ran, str(action.run(task_vars={"inventory_hostname": "rest1", "hostvars": known}).get("msg", ""))


ELSEWHERE = ["tokens on ctl1", "slurmrestd_verify_unseen on rest1"]
SEVERAL = ["ctl1", "ctl2"]


def test_what_the_play_knows_of_a_host_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    ran, said = asked(monkeypatch, KEY, KEY, facts=KEY)
    assert (ran, said) == (["tokens on ctl1", "slurmrestd_verify on rest1"], "")


def test_a_host_that_nobody_has_looked_at_is_looked_at_where_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, KEY)[0] == ELSEWHERE


@pytest.mark.parametrize(("facts", "module"), [(None, "slurmrestd_verify_unseen"), (KEY, "slurmrestd_verify")])
def test_the_controller_itself_is_asked_once_and_makes_its_token(
    monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any] | None, module: str
) -> None:
    known = {**facts, **NEEDS, "slurm_conf": {**facts["slurm_conf"], "path": "/c", "exists": True}} if facts else None
    ran, _said = asked(monkeypatch, KEY, controllers=["rest1"], facts=known)
    assert ran == [f"{module} on rest1, makes its token"]


def test_a_job_needs_a_second_token_so_both_are_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    ran, _said = asked(monkeypatch, KEY, controllers=["rest1"], job=True, job_user="alice")
    assert ran == ["tokens on rest1", "slurmrestd_verify_unseen on rest1"]


def test_of_several_controllers_slurm_conf_tells_who_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    ran, _said = asked(monkeypatch, KEY, controllers=SEVERAL)
    assert ran == ["slurm_facts on rest1", "tokens on ctl1", "slurmrestd_verify on rest1"]


def test_nothing_is_said_of_answers_where_scontrol_has_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    ran, said = asked(monkeypatch, ISSUERS)
    assert ran == ELSEWHERE
    assert said.startswith("Nothing was asked: tokens of scontrol are not good here")
    assert asked(monkeypatch, KEY, ISSUERS)[0] == []
    assert asked(monkeypatch, ISSUERS, controllers=SEVERAL)[0] == ["slurm_facts on rest1"]


def test_where_no_token_is_made_it_is_looked_whether_any_would_be_good(monkeypatch: pytest.MonkeyPatch) -> None:
    ran, said = asked(monkeypatch, ISSUERS, refused=True)
    assert (ran, said[:18]) == (["tokens on ctl1", "slurm_facts on rest1"], "Nothing was asked:")
    with pytest.raises(AnsibleError, match=r"no plugin\. ansible-playbook playbooks/doctor\.yml names"):
        asked(monkeypatch, KEY, refused=True)


def test_what_the_inventory_says_of_scontrol_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, ISSUERS, scontrol=True)[0] == ELSEWHERE
    assert asked(monkeypatch, KEY, scontrol="no")[0] == []


def test_a_token_in_a_file_needs_no_scontrol(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("e30.e30.c2ln\n")
    ran, _said = asked(monkeypatch, ISSUERS, token_file=str(file), scontrol=False)
    assert ran == ["slurmrestd_verify_unseen on rest1"]


def test_check_mode_starts_nothing_and_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ran, said = asked(monkeypatch, STOPPED, KEY, check_mode=True, facts=STOPPED)
    assert ran == []
    assert "check mode" in said
    assert "check mode" in asked(monkeypatch, STOPPED, KEY, check_mode=True)[1]
    assert asked(monkeypatch, STOPPED, KEY, facts=STOPPED)[0] == ["tokens on ctl1", "slurmrestd_verify on rest1"]
