"""The controller's part of the verification: where it keeps what a host hands over."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

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


UNITS = {"units": {"slurmrestd": {"active": "active"}}}
KEY = {"slurm_conf": {"jwks": "/etc/keys.json", "jwt_key": "/etc/jwt.key"}, **UNITS}
ISSUERS = {"slurm_conf": {"jwks": "/etc/keys.json", "jwt_key": ""}, **UNITS}
STOPPED = {**KEY, "units": {"slurmrestd": {"active": "inactive"}}}


def asked(
    monkeypatch: pytest.MonkeyPatch,
    here: dict[str, Any],
    controller: dict[str, Any] | None = None,
    *,
    check_mode: bool = False,
    **arguments: Any,
) -> tuple[list[str], str]:
    """Return which modules ran, and what was said, where rest1 is verified and ctl1 makes the tokens.

    ``here`` are the facts that a look at rest1 brings, ``controller`` those that this run has of ctl1.
    """
    ran: list[str] = []

    def looked(*_words: object) -> dict[str, Any]:
        ran.append("slurm_facts on rest1")
        return here

    def result_on(_action: object, host: str, module: str, *_more: object) -> dict[str, Any]:
        ran.append(f"{module.rpartition('.')[2]} on {host}")
        return {"changed": False}

    def minted(_action: object, hosts: list[str], *_more: object) -> dict[str, str]:
        ran.append(f"tokens on {hosts[0]}")
        return {"root": "a.b.c"}

    monkeypatch.setattr(ActionBase, "run", lambda *_words, **_more: {})
    monkeypatch.setattr(verify, "looked", looked)
    monkeypatch.setattr(verify, "result_on", result_on)
    monkeypatch.setattr(verify, "minted", minted)
    monkeypatch.setattr(verify, "told_of", lambda *_words: {})
    known = {"ctl1": {"ansible_facts": {"slurmrest": controller}}} if controller else {}
    action = object.__new__(verify.ActionModule)
    action._task = SimpleNamespace(args={"controllers": ["ctl1"], **arguments}, check_mode=check_mode)
    return ran, str(action.run(task_vars={"inventory_hostname": "rest1", "hostvars": known}).get("msg", ""))


def test_what_the_play_knows_of_a_host_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    ran, said = asked(monkeypatch, KEY, KEY, facts=KEY)
    assert (ran, said) == (["tokens on ctl1", "slurmrestd_verify on rest1"], "")


def test_a_host_that_nobody_has_looked_at_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, KEY)[0] == ["slurm_facts on rest1", "tokens on ctl1", "slurmrestd_verify on rest1"]


@pytest.mark.parametrize(("here", "controller"), [(ISSUERS, None), (KEY, ISSUERS)])
def test_nothing_is_asked_where_scontrol_has_no_key(
    monkeypatch: pytest.MonkeyPatch, here: dict[str, Any], controller: dict[str, Any] | None
) -> None:
    ran, said = asked(monkeypatch, here, controller)
    assert ran == ["slurm_facts on rest1"]
    assert said.startswith("Nothing was asked: tokens of scontrol are not good here")


def test_what_the_inventory_says_of_scontrol_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, ISSUERS, scontrol=True)[0][1:] == ["tokens on ctl1", "slurmrestd_verify on rest1"]
    assert asked(monkeypatch, KEY, scontrol="no")[0][1:] == []


def test_a_token_in_a_file_needs_no_scontrol(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("e30.e30.c2ln\n")
    ran, _said = asked(monkeypatch, ISSUERS, token_file=str(file), scontrol=False)
    assert ran[1:] == ["slurmrestd_verify on rest1"]


def test_check_mode_starts_nothing_and_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ran, said = asked(monkeypatch, STOPPED, KEY, check_mode=True)
    assert ran == ["slurm_facts on rest1"]
    assert "check mode" in said
    assert asked(monkeypatch, STOPPED, KEY)[0][1:] == ["tokens on ctl1", "slurmrestd_verify on rest1"]
