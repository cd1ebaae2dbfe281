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


KEY = {"slurm_conf": {"jwks": "/etc/keys.json", "jwt_key": "/etc/jwt.key"}}
ISSUERS = {"slurm_conf": {"jwks": "/etc/keys.json", "jwt_key": ""}}


def asked(
    monkeypatch: pytest.MonkeyPatch,
    answer: dict[str, Any] | None = None,
    known: dict[str, dict[str, Any]] | None = None,
    **arguments: Any,
) -> tuple[list[str], str]:
    """Return which modules ran, and what was said, where rest1 is verified and ctl1 makes the tokens."""
    ran: list[str] = []
    look = {"ansible_facts": {"slurmrest": ISSUERS}}

    def result_on(_action: object, host: str, module: str, *_more: object) -> dict[str, Any]:
        ran.append(f"{module.rpartition('.')[2]} on {host}")
        return look if module == verify.LOOK else answer or {"changed": False}

    monkeypatch.setattr(ActionBase, "run", lambda *_words, **_more: {})
    monkeypatch.setattr(verify, "result_on", result_on)
    monkeypatch.setattr(verify, "minted", lambda *_words: {"root": "a.b.c"})
    hosts = {host: {"ansible_facts": {"slurmrest": facts}} for host, facts in (known or {}).items()}
    action = object.__new__(verify.ActionModule)
    action._task = SimpleNamespace(args={"controllers": ["ctl1"], **arguments}, check_mode=False)
    variables = {"inventory_hostname": "rest1", "hostvars": hosts, **hosts.get("rest1", {})}
    return ran, str(action.run(task_vars=variables).get("msg", ""))


def test_what_is_known_of_a_host_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    ran, said = asked(monkeypatch, known={"rest1": KEY, "ctl1": KEY})
    assert (ran, said) == (["slurmrestd_verify on rest1"], "")


@pytest.mark.parametrize("known", [{"rest1": ISSUERS}, {"rest1": KEY, "ctl1": ISSUERS}])
def test_nothing_is_asked_where_scontrol_has_no_key(monkeypatch: pytest.MonkeyPatch, known: dict[str, Any]) -> None:
    ran, said = asked(monkeypatch, known=known)
    assert ran == []
    assert said.startswith("Nothing was asked: tokens of scontrol are not good here")


def test_what_the_inventory_says_of_scontrol_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, known={"rest1": ISSUERS}, scontrol=True)[0] == ["slurmrestd_verify on rest1"]
    assert asked(monkeypatch, known={"rest1": KEY}, scontrol="no")[0] == []


def test_a_token_in_a_file_needs_no_scontrol(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("e30.e30.c2ln\n")
    ran, _said = asked(monkeypatch, known={"rest1": ISSUERS}, token_file=str(file), scontrol=False)
    assert ran == ["slurmrestd_verify on rest1"]


def test_a_host_that_nobody_has_looked_at_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it makes its own tokens its module knows: it looks anyway."""
    assert asked(monkeypatch)[0] == ["slurm_facts on rest1"]
    ran, said = asked(monkeypatch, {"unasked": "tokens"}, controllers=["rest1"])
    assert ran == ["slurmrestd_verify on rest1"]
    assert said.startswith("Nothing was asked: tokens of scontrol are not good here")


def test_check_mode_starts_nothing_and_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "check mode" in asked(monkeypatch, {"unasked": "stopped"}, known={"rest1": KEY})[1]
