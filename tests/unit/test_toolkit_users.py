"""Users made while a cluster stands: what the nodes are told, and what is kept here."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from slurmrest.errors import InputError

from slurmrest_toolkit.clusters import logins, tokens, users
from slurmrest_toolkit.clusters.layouts import plan_nodes
from slurmrest_toolkit.clusters.state import Cluster
from slurmrest_toolkit.support.errors import CannotRunError, ClusterFailedError
from tests.unit.played_engine import PlayedEngine

if TYPE_CHECKING:
    from collections.abc import Callable
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
        (["admin"], "there is one called so"),  # Ansible's, of all accounts
        (["bob", "bob"], "there is one called so"),
    ],
)
def test_names_that_are_none_reach_no_node(cluster: Cluster, names: list[str], words: str) -> None:
    engine = PlayedEngine()
    with pytest.raises(InputError, match=words):
        users.add(engine, cluster, names)
    assert engine.calls == []


def test_an_account_of_the_nodes_is_refused_and_stays(cluster: Cluster) -> None:
    engine = PlayedEngine()
    with pytest.raises(InputError, match=r"--user: 'munge' is refused.*ctl has one called so.*no account or group"):
        users.add(engine, cluster, ["bob", "munge"])
    assert all("getent" in call[-1] for call in engine.calls)
    assert users.known(cluster) == tokens.USERS


@pytest.fixture(name="node")
def a_node(tmp_path: Path) -> Callable[[str, str], list[str]]:
    """Run a script of the nodes with programs that are played; returns what was told to those that change something.

    The accounts there are admin (1000) and bob (20002).
    """
    programs = {
        "id": 'case "$2" in admin) echo 1000;; bob) echo 20002;; *) exit 1;; esac',
        "useradd": f'sleep 0.5; echo "useradd $7" >>{tmp_path}/log',
        "userdel": f'echo "userdel $*" >>{tmp_path}/log',
    }
    for name, script in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}

    def run(script: str, lines: str) -> list[str]:
        subprocess.run(["sh", "-c", script], input=lines, env=environment, text=True, check=True, timeout=60)
        return (tmp_path / "log").read_text(encoding="ascii").splitlines()

    return run


def test_only_an_account_with_the_number_that_was_given_is_removed(node: Callable[[str, str], list[str]]) -> None:
    told = node(users._REMOVE, "admin 20001\nbob 20002\nnobody-there 20003\n")
    assert told == ["userdel --force --remove bob"]


def test_what_a_node_has_begun_is_waited_for_before_it_is_taken_back(node: Callable[[str, str], list[str]]) -> None:
    """An interrupted command ends here, and what it began in a node does not."""
    with ThreadPoolExecutor(1) as beside:
        beside.submit(node, users._MAKE, "bob 20002\n")
        time.sleep(0.2)
        assert node(users._REMOVE, "bob 20002\n") == ["useradd bob", "userdel --force --remove bob"]


def test_of_two_who_add_one_name_at_once_one_is_refused_and_takes_nothing_away(cluster: Cluster) -> None:
    class Slow(PlayedEngine):
        def run(self, *arguments: str, text: str | None = None, **limit: float) -> subprocess.CompletedProcess[str]:
            time.sleep(0.05)
            return super().run(*arguments, text=text, **limit)

    engine = Slow()

    def add(_: int) -> str:
        try:
            users.add(engine, cluster, ["bob"])
        except InputError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(2) as pool:
        first, second = sorted(pool.map(add, range(2)))
    assert first == ""
    assert "there is one called so" in second
    assert not [call for call in engine.calls if "userdel" in call[-1]]
    assert tokens.usable(cluster, "bob")


def test_an_interruption_leaves_no_account_that_would_block_the_name(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        assert users.known(cluster) == (*tokens.USERS, "bob"), "a run that is killed leaves what can be removed"
        raise KeyboardInterrupt

    engine = PlayedEngine()
    monkeypatch.setattr(logins, "give", interrupted)
    with pytest.raises(KeyboardInterrupt):
        users.add(engine, cluster, ["bob"])
    assert sum("userdel" in call[-1] for call in engine.calls) == len(cluster.nodes)
    assert users.known(cluster) == tokens.USERS
    assert not tokens.token_file(cluster, "bob").exists()


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


def test_a_user_who_goes_cannot_log_in_at_the_test_provider_any_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path))
    nodes = plan_nodes("one", "single", 1, gateway=True)
    made = Cluster("one", "24.11.5", "single", "podman", nodes, ready=True, identity="oidc")
    made.save()
    engine = PlayedEngine()
    users.add(engine, made, ["bob", "bobby"])
    (tmp_path / "users").write_text("alice one\nbob two\nbobby bob \n", encoding="ascii")
    engine.calls.clear()
    engine.inputs.clear()
    users.remove(engine, made, ["bob"])
    ((script, names),) = [
        (call[-1], text) for call, text in zip(engine.calls, engine.inputs, strict=True) if "sed" in call[-1]
    ]
    script = script.replace(logins.PROVIDED, str(tmp_path / "users"))
    subprocess.run(["sh", "-c", script], input=names, text=True, check=True)
    assert (tmp_path / "users").read_text(encoding="ascii") == "alice one\nbobby bob \n"
