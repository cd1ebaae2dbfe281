"""Tokens from whichever controller answers: who is asked, who is passed over, and when nobody is asked any further."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from slurmrest.host import programs

PATH = programs.PATH
minting = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.plugin_utils.minting")

WANTED = {"users": ["root"], "lifespan": 600}
CONF = {"slurmctld_hosts": ["ctl1", "ctl2"], "slurmctld_port": "6817", "state_save_location": "/s", "jwt": True}
GOOD = {"tokens": {"root": "sesame"}}
STANDING = {"failed": True, "msg": "ctl1 is gone", "standing": {"kind": "takeover"}}

Answer = dict[str, Any] | Exception


@pytest.fixture(name="asked")
def who_is_asked(monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Answer], list[tuple[str, dict[str, Any]]]]:
    answers: dict[str, Answer] = {}
    calls: list[tuple[str, dict[str, Any]]] = []

    def result_on(_action: object, host: str, module: str, arguments: dict[str, Any], _vars: object) -> dict[str, Any]:
        assert module == minting.TOKEN_MODULE
        calls.append((host, arguments))
        answer = answers[host]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(minting, "result_on", result_on)
    return answers, calls


def tokens(*controllers: str, conf: dict[str, Any] | None = CONF, **known: Any) -> Any:
    hostvars = {name: {"ansible_facts": {"slurmrest": facts}} for name, facts in known.items()}
    return minting.minted(object(), controllers, WANTED, conf, {"hostvars": hostvars})


def test_the_first_that_answers_makes_them(asked: Any) -> None:
    answers, calls = asked
    answers.update(ctl1=AnsibleConnectionFailure("no\nroute"), ctl2=GOOD)
    assert tokens("ctl1", "ctl2", ctl2={"slurm_conf": {"path": "/x/slurm.conf"}, "prefix": None}) == GOOD["tokens"]
    assert [host for host, _arguments in calls] == ["ctl1", "ctl2"]
    stated = {name: CONF[name] for name in CONF if name != "jwt"}
    assert calls[1][1] == {**WANTED, "slurm_conf": "/x/slurm.conf", "controllers": stated}


def test_while_none_is_in_charge_no_other_one_is_asked(asked: Any) -> None:
    answers, calls = asked
    answers.update(ctl1=STANDING)
    with pytest.raises(minting.NoTokens, match=r"^ctl1 is gone$") as caught:
        tokens("ctl1", "ctl2")
    assert caught.value.standing == {"kind": "takeover"}
    assert len(calls) == 1


def test_a_single_controller_is_asked_as_ever(asked: Any) -> None:
    answers, calls = asked
    answers.update(ctl1={"failed": True, "msg": "scontrol token: denied"})
    with pytest.raises(minting.NoTokens, match=r"^ctl1: scontrol token: denied$") as caught:
        tokens("ctl1")
    assert not caught.value.unreached
    assert calls[0][1]["controllers"] is None


def test_all_that_cannot_be_reached_are_named(asked: Any) -> None:
    answers, _calls = asked
    answers.update(ctl1=AnsibleConnectionFailure("refused"), ctl2=AnsibleConnectionFailure("timed out"))
    with pytest.raises(minting.NoTokens, match=r"^ctl1 cannot be reached: refused; ctl2 cannot be") as caught:
        tokens("ctl1", "ctl2", conf=None)
    assert caught.value.unreached


@pytest.mark.parametrize(
    ("prefix", "conf", "dbd", "words"),
    [
        (None, True, False, [f"PATH={PATH}", "SLURM_CONF=/etc/slurm/slurm.conf"]),
        (
            "/opt/slurm",
            False,
            True,
            [f"PATH=/opt/slurm/bin:/opt/slurm/sbin:{PATH}", "SLURM_CONF=/etc/slurm/slurm.conf"],
        ),
        (None, False, False, [f"PATH={PATH}"]),  # a configless host: Slurm looks for itself
    ],
)
def test_what_makes_a_token_on_a_host_that_was_looked_at(
    prefix: str | None, conf: bool, dbd: bool, words: list[str]
) -> None:
    facts = {
        "prefix": prefix,
        "slurm_conf": {"path": "/etc/slurm/slurm.conf", "exists": conf},
        "slurmdbd_conf": {"exists": dbd},
    }
    command = minting.command(facts, "alice", 600)
    assert command == ["env", *words, "scontrol", "token", "username=alice", "lifespan=600"]
