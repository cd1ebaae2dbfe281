"""What a host may do with what the site's files lack: nobody's daemon restarts without consent."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

import pytest
from slurmrest.merge.consent import Merge

decide = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.filter.merge_decision").merge_decision


def file(kind: str = "slurmctld", digest: str = "d1", **more: Any) -> dict[str, Any]:
    """A file that lacks lines, on which a daemon runs."""
    told = {"kind": kind, "digest": digest, "changed": True, "running": True, "problems": [], "obstacles": []}
    return {**told, **more}


def merge(own: list[dict[str, Any]], *others: dict[str, Any], **more: Any) -> Merge:
    """A host of a play in which the controller is that leads; nobody has allowed a restart."""
    told: dict[str, Any] = {"elsewhere": False, "came": "merged", "consent": False, "needed": False, **more}
    return Merge(own=own, everyone=[*own, *others], leading=told.pop("leading", own), **told)


@pytest.mark.parametrize("kind", ["slurmctld", "slurmdbd"])
def test_a_daemon_that_runs_restarts_with_consent_only(kind: str) -> None:
    own = merge([file(kind)])
    assert (own.allowed, own.left) == (False, True)
    assert replace(own, consent=True).allowed
    assert not replace(own, consent=True).left
    assert merge([file(kind, running=False)]).allowed, "nobody works there"


def test_a_daemon_of_another_host_of_the_play_counts_as_well() -> None:
    """All hosts are changed, or none."""
    own = merge([file(running=False)], file("slurmdbd"))
    assert (own.allowed, own.left) == (False, True)
    copy = merge([file("copy", running=False)], file("slurmdbd"))
    assert (copy.allowed, copy.left) == (False, False), "its own daemons need nothing"


@pytest.mark.parametrize(("came", "allowed"), [("merged", True), ("left", False), ("", False)])
@pytest.mark.parametrize("running", [True, False])
def test_copies_follow_the_controller_that_leads(came: str, allowed: bool, running: bool) -> None:
    own = merge([file("copy", running=running)], file("copy"), came=came, elsewhere=True)
    assert (own.allowed, own.left) == (allowed, False)
    assert replace(own, consent=True).allowed


def test_what_lacks_nothing_is_not_left() -> None:
    assert not merge([file(changed=False)]).left


WHY: dict[str, Any] = {"obstacles": ["/etc/slurm is read-only."]}


def test_a_file_that_nobody_can_write_stops_all() -> None:
    own = merge([file(**WHY, problems=["no such key."])], consent=True)
    assert own.blocked == WHY["obstacles"]
    assert own.problems == ["no such key.", *WHY["obstacles"]]
    assert not own.stays
    assert merge([file(**WHY, changed=False)]).problems == [], "it needs no change"


def test_a_shared_file_is_written_by_another_host() -> None:
    shared = [file(**WHY)]
    assert merge(shared, file("copy")).blocked == []
    assert merge(shared, file("copy", digest="d2")).blocked == WHY["obstacles"]
    assert merge(shared, file("copy", **WHY)).blocked == WHY["obstacles"], "that one cannot either"


@pytest.mark.parametrize(
    ("came", "elsewhere", "digest", "blocked"),
    [
        ("merged", True, "d1", False),
        ("merged", True, "d2", True),
        ("left", True, "d1", True),
        ("", True, "d1", True),
        ("merged", False, "d1", True),  # it is one of the play's, and has no say beside it
    ],
)
def test_a_shared_file_was_written_by_the_controller_before(
    came: str, elsewhere: bool, digest: str, blocked: bool
) -> None:
    leading = [file("slurmdbd", digest="d9"), file(digest=digest)]
    own = merge([file("copy", **WHY)], came=came, elsewhere=elsewhere, leading=leading, consent=True)
    assert bool(own.blocked) is blocked


def test_a_node_can_do_without_and_slurmrestd_cannot() -> None:
    node = merge([file("copy", **WHY)], leading=[file(digest="d2")])
    assert (node.stays, node.problems, node.blocked) == (True, [], WHY["obstacles"])
    rest = replace(node, needed=True)
    assert (rest.stays, rest.problems) == (False, WHY["obstacles"])
    both = merge([file("copy", **WHY), file("slurmdbd", **WHY)], consent=True)
    assert not both.stays, "slurmdbd cannot do without either"
    assert not merge([file("copy", **WHY)], came="left").stays, "nothing may be changed yet"


@pytest.mark.parametrize(
    ("own", "leading", "differs"),
    [
        ([file(digest="d1")], [file(digest="d1")], False),
        ([file(digest="d1")], [file(digest="d2")], True),
        ([file("slurmdbd", digest="d9"), file("copy", digest="d1")], [file(digest="d1")], False),
        ([file("slurmdbd", digest="d9")], [file(digest="d1")], False),
        ([file("copy", digest="d1")], [], True),
    ],
)
def test_a_copy_that_is_another_one_is_said(own: Any, leading: Any, differs: bool) -> None:
    assert merge(own, leading=leading).differs is differs


def plan(*files: dict[str, Any]) -> dict[str, Any]:
    return {"parts": list(files), "diff": []}


def test_the_plans_of_a_play() -> None:
    plans = {"db": plan(file("slurmdbd", running=False)), "ctl": plan(file())}
    hostvars = {name: {"__slurm_conf_plan": found} for name, found in plans.items()}
    found = decide(plans, "db", "ctl", hostvars, consent=False, needed=False)
    assert found == {
        "allowed": False,
        "left": True,
        "stays": False,
        "blocked": [],
        "problems": [],
        "differs": False,
    }
    assert decide(plans, "db", "ctl", hostvars, consent=True, needed=False)["allowed"]


@pytest.mark.parametrize(
    ("leader", "allowed", "differs"),
    [({"__slurm_conf_plan": plan(file())}, True, True), ({}, False, False)],
)
def test_copies_in_a_play_of_their_own(leader: dict[str, Any], allowed: bool, differs: bool) -> None:
    plans = {"n1": plan(file("copy", digest="d2")), "n2": plan()}
    hostvars = {"ctl": leader, "n1": {"__slurm_conf_plan": plans["n1"]}}
    found = decide(plans, "n1", "ctl", hostvars, consent=False, needed=True)
    assert (found["allowed"], found["differs"]) == (allowed, differs)
    left = {"ctl": {**leader, "__slurm_conf_pending": ["x"]}}
    assert not decide(plans, "n1", "ctl", left, consent=False, needed=True)["allowed"]
    absent = decide(plans, "n1", "elsewhere", {}, consent=False, needed=True)
    assert not absent["allowed"], "the inventory does not have it"
