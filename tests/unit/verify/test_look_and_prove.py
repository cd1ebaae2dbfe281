"""A host that nobody has looked at: it is looked at, makes the token where it is the controller, and is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from slurmrest.errors import SlurmrestError
from slurmrest.facts.detection import columns
from slurmrest.host import programs
from slurmrest.host.programs import Done
from slurmrest.rest.whole_table import EXCERPT
from slurmrest.verify import look_and_prove, on_host
from slurmrest.verify import proof as proofs

from tests.unit.fake_slurmrestd import STYLES, FakeSlurmrestd, serving, token
from tests.unit.verify.test_judgement import FACTS as RECORDED

FACTS: Any = {**RECORDED, "version": "24.11.5", "prefix": "/usr", "units": {"slurmrestd": {"active": "active"}}}
ARGUMENTS: dict[str, Any] = {
    **dict.fromkeys(proofs.ARGUMENTS),
    "user": "root",
    "known": {"facts": columns(), "table": json.loads(json.dumps(EXCERPT))},
    "lifespan": 600,
    "scontrol": None,
    "instance": None,
    "urls": [],
    "accounting": True,
}
ISSUERS = {**FACTS["slurm_conf"], "jwks": "/etc/keys.json", "jwt_key": ""}


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was run to make a token."""
    commands: list[list[str]] = []

    def run(argv: list[str], **_how: object) -> Done[str]:
        if "scontrol" not in argv:
            return Done(argv, 0, "", "")
        commands.append(list(argv))
        return Done(argv, 0, f"SLURM_JWT={token('root').reveal()}\n", "")

    monkeypatch.setattr("slurmrest.host.programs.run", run)
    monkeypatch.setattr("slurmrest.systemd.confinement.look", lambda _unit: None)
    monkeypatch.setattr(look_and_prove, "look", lambda _options, _columns: FACTS)
    return commands


def test_the_controller_itself_makes_its_token_and_hands_over_no_token(ran: list[list[str]]) -> None:
    with serving(FakeSlurmrestd(STYLES["24.11"])) as target:
        found = look_and_prove.looked_and_proven({**ARGUMENTS, "urls": [target.url]}, check_mode=False)
    assert found["facts"] is FACTS
    assert [words[-3:] for words in ran] == [["token", "username=root", "lifespan=600"]]
    assert {"slurm-diag": True}.items() <= {check["id"]: check["ok"] for check in found["record"]["checks"]}.items()
    assert token("root").reveal() not in json.dumps(found)


def test_a_token_that_was_given_is_used(ran: list[list[str]]) -> None:
    with serving(FakeSlurmrestd(STYLES["24.11"])) as target:
        given: dict[str, Any] = {"urls": [target.url], "token": token("root").reveal(), "lifespan": 0}
        found = look_and_prove.looked_and_proven({**ARGUMENTS, **given}, check_mode=False)
    assert (ran, "record" in found) == ([], True)


@pytest.mark.parametrize(
    ("facts", "stated", "check_mode"),
    [
        ({"slurm_conf": ISSUERS}, None, False),
        ({}, False, False),
        ({"units": {"slurmrestd": {"active": "inactive"}}}, None, True),
    ],
)
def test_facts_alone_where_nothing_is_to_be_asked(
    ran: list[list[str]], monkeypatch: pytest.MonkeyPatch, facts: Any, stated: bool | None, check_mode: bool
) -> None:
    seen = {**FACTS, **facts}
    monkeypatch.setattr(look_and_prove, "look", lambda _options, _columns: seen)
    assert look_and_prove.looked_and_proven({**ARGUMENTS, "scontrol": stated}, check_mode=check_mode) == {"facts": seen}
    assert ran == []


def test_what_scontrol_says_instead_of_a_token(ran: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Done(["env", "SLURM_CONF=/c", "/usr/bin/scontrol", "token"], 1, "SLURM_JWT=e30.e30.c2ln", "no slurmctld")
    monkeypatch.setattr("slurmrest.host.programs.run", lambda *_words, **_how: refused)
    with pytest.raises(SlurmrestError, match=r"^scontrol token: no slurmctld$"):
        look_and_prove.looked_and_proven(ARGUMENTS, check_mode=False)
    assert ran == []


def test_a_controller_that_has_just_started_is_waited_for(
    ran: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = [Done(["scontrol"], 1, "", "error receiving response: Socket timed out on send/recv operation")]
    run = programs.run

    def late(argv: list[str], **how: Any) -> Done[str]:
        return first.pop() if first and "scontrol" in argv[1] else run(argv, **how)

    monkeypatch.setattr("slurmrest.host.programs.run", late)
    monkeypatch.setattr("slurmrest.auth.starting._age", lambda: 1.0)
    monkeypatch.setattr("slurmrest.auth.starting.PAUSE", 0.0)
    with serving(FakeSlurmrestd(STYLES["24.11"])) as target:
        found = look_and_prove.looked_and_proven({**ARGUMENTS, "urls": [target.url]}, check_mode=False)
    assert found["record"]["checks"]
    assert len(ran) == 1


def test_slurmdbd_is_waited_for_where_the_host_has_only_just_booted(
    ran: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = ["connection refused", "connection refused"]
    monkeypatch.setattr(on_host, "unreached", lambda _hosts: said.pop() if said else "")
    monkeypatch.setattr("slurmrest.verify.proof.uptime", lambda: 1.0)
    monkeypatch.setattr("slurmrest.slurm.starting.PAUSE", 0.0)
    with serving(FakeSlurmrestd(STYLES["24.11"])) as target:
        look_and_prove.looked_and_proven({**ARGUMENTS, "urls": [target.url]}, check_mode=False)
    assert not said
    assert len(ran) == 1
