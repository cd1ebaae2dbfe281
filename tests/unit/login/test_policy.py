"""Who may log in."""

from __future__ import annotations

import grp
import pwd
from typing import Any

import pytest
from slurmrest.login.policy import Policy

ACCOUNTS = {
    "root": (0, 0),
    "toor": (0, 0),
    "slurm": (64030, 64030),
    "slurm2": (64030, 64030),
    "daemon": (1, 1),
    "www-data": (33, 33),
    "alice": (1001, 1001),
    "bob": (1002, 1002),
    "robert": (1002, 1002),
    "1002": (1003, 1003),
    "nobody": (65534, 65534),
    "directory": (1_234_501_105, 1_234_501_105),
    "beyond": (2_147_483_648, 2_147_483_648),
}
GROUPS = {"root": 0, "alice": 1001, "bob": 1002, "sudo": 27, "admins": 27, "hpc": 500}
MEMBERS = {"alice": [1001, 500], "bob": [1002, 27]}


@pytest.fixture(autouse=True)
def accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_name(name: str) -> pwd.struct_passwd:
        if name.lower() not in ACCOUNTS:
            raise KeyError(name)
        uid, gid = ACCOUNTS[name.lower()]
        return pwd.struct_passwd((name.lower(), "x", uid, gid, "", "/", "/bin/sh"))

    def group(name: str) -> grp.struct_group:
        return grp.struct_group((name, "x", GROUPS[name], []))

    monkeypatch.setattr("grp.getgrnam", group)
    monkeypatch.setattr("pwd.getpwnam", by_name)
    monkeypatch.setattr("os.getgrouplist", lambda name, gid: MEMBERS.get(name, [gid]))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("alice", ""),
        ("bob", ""),
        ("carol", "no account of that name"),
        ("Alice", "called alice"),
        ("root", "it is root"),
        ("toor", "it is root"),
        ("slurm", "it is SlurmUser"),
        ("slurm2", "it is SlurmUser"),
        ("1002", "could take the name for a uid"),
        ("www-data", "its uid 33 is below 1000"),
        ("nobody", "its uid 65534 is nobody's"),
        ("directory", ""),
        ("beyond", "is nobody's"),
    ],
)
def test_ordinary_users_and_no_others(name: str, said: str) -> None:
    found = Policy("slurm").refusal(name)
    assert said in found
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    ("variables", "alice", "bob"),
    [
        ({"least_uid": 1002}, "below 1002", ""),
        ({"users_denied": ("bob",)}, "", "listed"),
        ({"groups_denied": ("sudo",)}, "", "in the group sudo"),
        ({"groups_denied": ("admins",)}, "", "in the group admins"),
        ({"groups_allowed": ("hpc",)}, "", "none of the groups hpc"),
        ({"groups_allowed": ("hpc", "sudo"), "groups_denied": ("sudo",)}, "", "in the group sudo"),
    ],
)
def test_what_a_site_says(variables: dict[str, Any], alice: str, bob: str) -> None:
    found = Policy("slurm", **variables)
    for name, said in (("alice", alice), ("bob", bob)):
        assert said in found.refusal(name)
        assert bool(found.refusal(name)) == bool(said)


def test_another_name_of_a_denied_user_is_denied() -> None:
    assert Policy("slurm").refusal("robert") == ""
    assert "has the uid of one" in Policy("slurm", users_denied=("carol", "bob")).refusal("robert")


def test_who_is_denied_may_be_told_by_number() -> None:
    """Digits were looked up as a name, which no account has, and denied nobody."""
    assert Policy("64030").refusal("slurm2") == "it is SlurmUser"
    assert "has the uid of one" in Policy("slurm", users_denied=("1002",)).refusal("robert")
    assert "in the group 27" in Policy("slurm", groups_denied=("27",)).refusal("bob")
    assert Policy("slurm", groups_denied=("27",)).refusal("alice") == ""


def test_nobody_logs_in_while_members_of_a_denied_group_cannot_be_told() -> None:
    """A directory that is away knows no groups, and a misspelt name denies nobody."""
    policy = Policy("slurm", groups_denied=("sudo", "operators"))
    assert policy.unknown_groups() == ["operators"]
    assert policy.refusal("alice") == "nobody knows who is in operators, which may not log in"
    assert "in the group sudo" in policy.refusal("bob")


def test_a_slurm_user_that_the_host_does_not_know_has_no_number() -> None:
    assert Policy("other").refusal("alice") == ""
    assert Policy("other").refusal("other") == "the gateway's host has no account of that name"


def test_a_name_that_no_account_can_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert Policy("slurm").refusal("al\0ice") == "the gateway's host has no account of that name"


def test_it_reads_what_the_role_wrote() -> None:
    data = {
        "slurm_user": "slurm",
        "least_uid": 500,
        "users_denied": ["bob"],
        "groups_denied": [],
        "groups_allowed": ["hpc"],
    }
    assert Policy.from_mapping(data) == Policy("slurm", 500, ("bob",), (), ("hpc",))
