"""Which hosts a play leaves out: those alone of which all that it would do there was seen to be done."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from slurmrest.transaction.left_out_hosts import (
    CONTROLLERS,
    KEYS,
    REST,
    Remembered,
    conf_suffices,
    key_right,
    service_suffices,
    unsettled,
)
from slurmrest.transaction.snapshot_comparison import SECONDS

NOW = 1000.0
DONE = Remembered(now="d1", looked="d1", at=NOW - 1, settled="d1")
OPEN = {
    "something differs, or was not compared": replace(DONE, settled=""),
    "another look found other facts": replace(DONE, now="d2"),
    "a look for another account came after": replace(DONE, looked="d0"),
    "what was seen was seen by other facts": replace(DONE, settled="d0"),
    "its facts are gone": replace(DONE, now=""),
    "nothing is known of it": Remembered(),
    "nothing but emptiness agrees": Remembered(at=NOW - 1),
    "it was looked at long ago": replace(DONE, at=NOW - SECONDS - 1),
    "it was never looked at": replace(DONE, at=0.0),
    "a clock was set back": replace(DONE, at=NOW + 60),
}


def test_a_host_that_was_seen_to_be_right_is_left_out() -> None:
    assert unsettled(["a"], {"a": DONE}, NOW) == []
    assert unsettled(["a"], {"a": replace(DONE, at=NOW - SECONDS)}, NOW) == []
    assert unsettled([], {}, NOW, ["ctl"], together=True) == []


@pytest.mark.parametrize("host", OPEN.values(), ids=OPEN)
def test_a_host_of_which_that_is_not_known_is_not(host: Remembered) -> None:
    known = {"a": DONE, "b": host}
    assert unsettled(["a", "b"], known, NOW) == ["b"]
    assert unsettled(["b", "a"], known, NOW, together=True) == ["b", "a"], "controllers restart in turns, or not at all"


def test_a_host_that_the_run_does_not_have_is_not() -> None:
    """Such as one that is left out with --limit, and at the start, when no host is known yet."""
    assert unsettled(["a", "b"], {"a": DONE}, NOW) == ["b"]
    assert unsettled(["a", "b"], {}, NOW, ["ctl"]) == ["a", "b"]


def test_rest_hosts_are_all_meant_where_a_controller_is_another_by_now() -> None:
    known = {"a": DONE, "b": replace(DONE, settled="")}
    for host in (replace(DONE, now="d2"), replace(DONE, looked=""), Remembered()):
        assert unsettled(["a", "b"], {**known, "ctl": host}, NOW, ["ctl"]) == ["a", "b"]
    assert unsettled(["a"], known, NOW, ["ctl"]) == ["a"], "it is not part of this run"
    assert unsettled(["a", "b"], {**known, "c1": DONE, "c2": Remembered()}, NOW, ["c1", "c2"]) == ["a", "b"], (
        "of several"
    )


@pytest.mark.parametrize("host", [DONE, replace(DONE, settled=""), replace(DONE, at=0.0)])
def test_controllers_that_are_as_they_were_seen(host: Remembered) -> None:
    """What was seen of a REST host depends on their facts, and not on whether anything was left to do for them."""
    assert unsettled(["a"], {"a": DONE, "ctl": host}, NOW, ["ctl"]) == []


RIGHT = dict.fromkeys((KEYS, *CONTROLLERS, *REST), True)
CONF: dict[str, Any] = {"how": "whole", "state": "present"}
GROUPS = {
    "controller": ["slurmctld"],
    "slurmdbd": ["slurmdbd"],
    "both": ["slurmctld", "slurmdbd", "slurmd"],
    "controller that serves REST": ["slurmctld", "slurmrestd"],
    "rest": ["slurmrestd"],
    "rest and node": ["slurmd", "slurmrestd"],
}
ACCEPTING = [name for name, groups in GROUPS.items() if {"slurmctld", "slurmdbd"} & set(groups)]


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
def test_files_that_this_toolkit_writes_whole_tell_of_a_host_that_has_all_else(groups: list[str]) -> None:
    assert conf_suffices(RIGHT, **CONF, groups=groups)


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
@pytest.mark.parametrize(
    ("how", "state"), [*product(["merge", "assert", ""], ["present", "absent"]), ("whole", "absent"), ("whole", "")]
)
def test_files_of_the_site_are_never_told_of(how: str, state: str, groups: list[str]) -> None:
    """Those that it merges into, that it only checks, and those out of which its lines are to go."""
    assert not conf_suffices(RIGHT, how, state, groups)


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
def test_a_gateway_may_yet_make_a_key_that_every_file_names(groups: list[str]) -> None:
    assert not conf_suffices({**RIGHT, KEYS: False}, **CONF, groups=groups)


@pytest.mark.parametrize("role", ["slurm_jwks", "slurm_jwt_key"])
def test_keys_are_wanted_where_tokens_are_accepted_alone(role: str) -> None:
    for name, groups in GROUPS.items():
        assert conf_suffices({**RIGHT, role: False}, **CONF, groups=groups) is (name not in ACCEPTING)


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
def test_a_service_tells_of_a_host_that_has_all_else(groups: list[str]) -> None:
    assert service_suffices(RIGHT, groups)
    for role in ("slurm_packages", "slurmrestd_user"):
        assert not service_suffices({**RIGHT, role: False}, groups)
    keys = {KEYS: False, "slurm_jwks": False, "slurm_jwt_key": False}
    assert service_suffices({**RIGHT, **keys}, groups), "these are no matter of slurmrestd"


def test_a_rest_host_has_slurm_conf_in_its_own_turn_where_it_had_it_in_no_other() -> None:
    for name, groups in GROUPS.items():
        assert service_suffices({**RIGHT, "slurm_conf": False}, groups) is (name in ACCEPTING)


def test_a_role_of_which_nothing_is_known_has_something_left() -> None:
    """Its tag was not asked for, or a playbook does not have it."""
    for role in (KEYS, "slurm_jwks", "slurm_jwt_key"):
        known = {name: done for name, done in RIGHT.items() if name != role}
        assert not conf_suffices(known, **CONF, groups=["slurmctld"])
    for role in ("slurm_packages", "slurmrestd_user", "slurm_conf"):
        known = {name: done for name, done in RIGHT.items() if name != role}
        assert not service_suffices(known, ["slurmrestd"])


@pytest.mark.parametrize("word", ["true", "True", "False", 1, "", None])
def test_a_word_is_no_yes(word: Any) -> None:
    """A template that makes a text of what it decided would say yes with "False"."""
    assert not conf_suffices({**RIGHT, "slurm_jwt_key": word}, **CONF, groups=["slurmctld"])
    assert not service_suffices({**RIGHT, "slurm_packages": word}, ["slurmrestd"])


KEY: dict[str, Any] = {
    "path": "/k",
    "reader": "slurm",
    "exists": True,
    "readable": True,
    "rotating": False,
    "error": None,
    "problems": [],
    "directory_problems": [],
    "size": 32,
}


def test_a_key_that_a_daemon_loads_as_it_shall_be() -> None:
    other = {**KEY, "path": "/other"}
    assert key_right({"slurmctld": KEY}, "/k", "slurm")
    assert key_right({"slurmctld": other, "slurmdbd": KEY}, "/k", "slurm")
    assert not key_right({"slurmctld": other}, "/k", "slurm")
    assert not key_right({"slurmctld": KEY}, "/k", "another")
    assert not key_right({}, "/k", "slurm")


@pytest.mark.parametrize("name", [name for name in KEY if name != "size"])
def test_a_key_of_which_something_else_was_seen_is_not(name: str) -> None:
    """Or of which that was not seen, since the look at it failed."""
    for value in ("x", ["x"], not KEY[name]):
        assert not key_right({"slurmctld": {**KEY, name: value}, "slurmdbd": {}}, "/k", "slurm")
    assert not key_right({"slurmctld": {other: KEY[other] for other in KEY if other != name}}, "/k", "slurm")
