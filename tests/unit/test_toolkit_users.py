"""Users made while a cluster stands: what the nodes are told, and what is kept here."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest
from slurmrest.errors import InputError

from slurmrest_toolkit.clusters import logins, tokens, users
from slurmrest_toolkit.clusters.layouts import plan_nodes
from slurmrest_toolkit.clusters.state import Cluster
from slurmrest_toolkit.support.errors import CannotRunError, ClusterFailedError
from tests.unit.played_engine import PlayedEngine

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(name="cluster")
def a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path))
    made = Cluster("one", "24.11.5", "split", "podman", plan_nodes("one", "split", 2), ready=True)
    made.save()
    return made


def told(engine: PlayedEngine) -> dict[str, list[str]]:
    """Return what each node's last command read."""
    calls = zip(engine.calls, engine.inputs, strict=True)
    return {next(word for word in call if word.startswith("slurmrest-")): text.splitlines() for call, text in calls}


def test_every_node_gets_the_same_numbers_and_the_controller_makes_tokens(cluster: Cluster) -> None:
    engine = PlayedEngine()
    users.add(engine, cluster, ["bob", "carol"])
    assert told(engine) == {node.container: ["bob 20001", "carol 20002"] for node in cluster.nodes}
    (enrolled,) = engine.told("bob,carol")
    assert cluster.controller.container in enrolled
    assert users.known(cluster) == ("root", "alice", "bob", "carol")
    assert tokens.usable(cluster, "bob")
    assert stat.S_IMODE(tokens.token_file(cluster, "carol").stat().st_mode) == 0o600
    line = json.dumps(engine.calls)
    assert tokens.token_file(cluster, "bob").read_text().strip() not in line
    users.add(engine, cluster, ["dave"])
    assert told(engine)[cluster.controller.container] == ["dave 20003"]


def test_a_number_is_never_used_again(cluster: Cluster) -> None:
    """Slurm keeps jobs by the number: those of somebody who is gone were the next one's."""
    engine = PlayedEngine()
    users.add(engine, cluster, ["bob", "carol"])
    users.remove(engine, cluster, ["bob", "carol"])
    users.add(engine, cluster, ["eve"])
    assert told(engine)[cluster.controller.container] == ["eve 20003"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["Bob"], "lower-case"),
        (["-x"], "lower-case"),
        (["a b"], "lower-case"),
        (["alice"], "there is one called so"),
        (["bob", "bob"], "there is one called so"),
    ],
)
def test_names_that_are_none_reach_no_node(cluster: Cluster, names: list[str], words: str) -> None:
    engine = PlayedEngine()
    with pytest.raises(InputError, match=words):
        users.add(engine, cluster, names)
    assert engine.calls == []


def test_a_bare_cluster_has_no_users(cluster: Cluster) -> None:
    cluster.bare = True
    with pytest.raises(CannotRunError, match="is bare"):
        users.add(PlayedEngine(), cluster, ["bob"])


def test_what_fails_half_way_is_taken_away_again(cluster: Cluster) -> None:
    engine = PlayedEngine()
    engine.failing.add("bob users")
    with pytest.raises(ClusterFailedError, match="told to fail"):
        users.add(engine, cluster, ["bob"])
    assert sum("userdel" in call[-1] for call in engine.calls) == len(cluster.nodes)
    assert users.known(cluster) == tokens.USERS


def test_users_go_with_their_jobs_and_files(cluster: Cluster) -> None:
    engine = PlayedEngine()
    users.add(engine, cluster, ["bob", "carol"])
    engine.calls.clear()
    engine.inputs.clear()
    users.remove(engine, cluster, ["bob"])
    forgotten, *taken = engine.calls
    assert forgotten[-1] == "bob"
    assert "scancel" in forgotten[-3]
    assert len(taken) == len(cluster.nodes)
    assert users.known(cluster) == ("root", "alice", "carol")
    assert not tokens.token_file(cluster, "bob").exists()
    assert not tokens.header_file(cluster, "bob").exists()
    with pytest.raises(InputError, match="Allowed: carol"):
        users.remove(engine, cluster, ["alice"])


def test_all_rest_hosts_of_a_gateway_with_logins_know_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slurmrestd whose host does not know them answers jobs without names."""
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path))
    nodes = plan_nodes("one", "split", 1, 2, gateway=True)
    made = Cluster("one", "24.11.5", "split", "podman", nodes, ready=True, identity="pam")
    made.directory.mkdir(parents=True)
    engine = PlayedEngine()
    logins.give(engine, made, ["alice"])
    got = [
        call
        for call, text in zip(engine.calls, engine.inputs, strict=True)
        if "useradd" in call[-1] and text == "alice 2000\n"
    ]
    assert [node.container for node in made.rest_nodes for call in got if node.container in call] == [
        node.container for node in made.rest_nodes
    ]
    assert len(got) == 2
