"""Rules for the service account."""

from __future__ import annotations

from typing import Any

import pytest
from slurmrest.slurmrestd.account import GROUP_VARIABLE, USER_VARIABLE, refusals

SLURM = {"name": "slurm", "uid": 64030, "gid": 64030, "group": "slurm"}
GOOD = {"uid": 990, "gid": 990, "group": "slurmrestd", "supplementary_groups": []}


def account(**changes: Any) -> dict[str, Any]:
    return {**GOOD, **changes}


@pytest.mark.parametrize("known", [None, GOOD, account(supplementary_groups=["slurmrestd"])])
@pytest.mark.parametrize("slurm", [None, SLURM])
def test_an_account_of_its_own_is_accepted(known: dict[str, Any] | None, slurm: dict[str, Any] | None) -> None:
    assert refusals("slurmrestd", "slurmrestd", known, slurm) == []


@pytest.mark.parametrize(
    ("user", "group", "known", "variable", "reason"),
    [
        ("root", "slurmrestd", None, USER_VARIABLE, "act as root"),
        ("toor", "slurmrestd", account(uid=0), USER_VARIABLE, "act as root"),
        ("nobody", "slurmrestd", None, USER_VARIABLE, "shared with other services"),
        ("rest", "slurmrestd", account(uid=99), USER_VARIABLE, "shared with other services"),
        ("rest", "slurmrestd", account(uid=65534), USER_VARIABLE, "shared with other services"),
        ("slurm", "slurmrestd", None, USER_VARIABLE, "SlurmUser owns the cluster"),
        ("rest", "slurmrestd", account(uid=64030), USER_VARIABLE, "SlurmUser owns the cluster"),
        ("rest", "root", None, GROUP_VARIABLE, "root's group"),
        ("rest", "wheel", account(gid=0, group="wheel"), GROUP_VARIABLE, "root's group"),
        ("rest", "nogroup", None, GROUP_VARIABLE, "shared with other services"),
        ("rest", "rest", account(gid=65534, group="rest"), GROUP_VARIABLE, "shared with other services"),
        ("rest", "slurm", None, GROUP_VARIABLE, "JWT key"),
        ("rest", "hpc", account(gid=64030, group="hpc"), GROUP_VARIABLE, "JWT key"),
        ("rest", "rest", account(group="users"), GROUP_VARIABLE, "another primary group"),
        (
            "slurmrestd",
            "slurmrestd",
            account(supplementary_groups=["video", "adm"]),
            USER_VARIABLE,
            "also in adm, video",
        ),
    ],
)
def test_accounts_that_are_refused(
    user: str, group: str, known: dict[str, Any] | None, variable: str, reason: str
) -> None:
    found = refusals(user, group, known, SLURM)
    assert [refusal.variable for refusal in found] == [variable]
    assert reason in found[0].reason
    assert found[0].remedy
    assert found[0].value in (user, group)


@pytest.mark.parametrize("name", ["", "Slurmrestd", "a b", "0", "1rest", "-u", "a" * 33, None, 5, "röst", "rest\n"])
def test_names_that_are_none_are_refused(name: object) -> None:
    assert [refusal.variable for refusal in refusals(name, "slurmrestd", None, None)] == [USER_VARIABLE]
    assert [refusal.variable for refusal in refusals("slurmrestd", name, None, None)] == [GROUP_VARIABLE]


def test_every_reason_is_given_at_once() -> None:
    found = refusals("root", "root", {"uid": 0, "gid": 0, "group": "root", "supplementary_groups": ["adm"]}, SLURM)
    assert [refusal.variable for refusal in found] == [USER_VARIABLE, GROUP_VARIABLE, USER_VARIABLE]
