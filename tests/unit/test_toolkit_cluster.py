"""Decisions about what is there already, and what machines are told."""

from __future__ import annotations

import json
import os
import shutil
import stat
from typing import TYPE_CHECKING

import pytest

from slurmrest_toolkit.clusters import describe, liveness, remove
from slurmrest_toolkit.clusters.layouts import plan_nodes
from slurmrest_toolkit.clusters.state import CLUSTER_LABEL, STATE_LABEL, Cluster, write_private
from slurmrest_toolkit.clusters.tokens import header_file, token_file
from slurmrest_toolkit.containers.engine import Container, Engine, EngineError
from slurmrest_toolkit.support.errors import CannotRunError
from slurmrest_toolkit.support.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(name="state")
def a_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path / "ours"))
    return tmp_path / "ours"


def cluster(*, ready: bool = True) -> Cluster:
    nodes = plan_nodes("one", "single", 1)
    nodes[0].ssh_port, nodes[0].rest_port = 40001, 40002
    return Cluster("one", "24.11.5", "single", "podman", nodes, ready=ready, api_versions=["v0.0.41", "v0.0.42"])


def container(state: Path, *, running: bool) -> Container:
    return Container("slurmrest-one-node1", running, {CLUSTER_LABEL: "one", STATE_LABEL: str(state)})


def test_nothing_is_there(state: Path) -> None:
    assert remove.judge(None, [], state) == "nothing"


def test_live_cluster_of_ours_is_kept(state: Path) -> None:
    assert remove.judge(cluster(), [container(state, running=True)], state) == "ours"


def test_cluster_whose_nodes_are_gone_is_left_over(state: Path) -> None:
    assert remove.judge(cluster(), [container(state, running=False)], state) == "leftovers"
    assert remove.judge(cluster(), [], state) == "leftovers"


def test_cluster_whose_start_was_killed_is_left_over_even_if_nodes_run(state: Path) -> None:
    assert remove.judge(cluster(ready=False), [container(state, running=True)], state) == "leftovers"
    assert remove.judge(None, [container(state, running=True)], state) == "leftovers"


def test_live_cluster_of_another_state_directory_is_foreign_until_that_is_lost(state: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    node = container(other, running=True)
    write_private(other / "clusters" / "one" / "cluster.json", "{}")
    assert remove.judge(None, [node], state) == "foreign"
    assert remove.judge(None, [container(other, running=False)], state) == "leftovers"
    (other / "clusters" / "one" / "cluster.json").unlink()
    assert remove.judge(None, [node], state) == "leftovers"


def test_only_one_process_works_on_a_cluster(state: Path) -> None:
    with liveness.owned("one"):
        assert (state / "locks" / "one.lock").exists()
        with pytest.raises(CannotRunError, match="Another process"), liveness.owned("one"):
            pass
        with liveness.owned("two"):
            pass
    with liveness.owned("one"):
        pass


def test_what_others_put_where_a_private_file_is_made_gets_nothing_of_it(tmp_path: Path) -> None:
    waiting = tmp_path / f".token.{os.getpid()}"
    waiting.touch(mode=0o666)
    write_private(tmp_path / "token", "sesame")
    assert waiting.read_text() == ""
    assert (tmp_path / "token").read_text() == "sesame"
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600


@pytest.mark.usefixtures("state")
def test_description_names_files_and_no_secrets() -> None:
    one = cluster()
    for file in (token_file(one, "root"), token_file(one, "alice"), header_file(one, "root")):
        write_private(file, "sesame")
    described = describe.describe(one)
    assert "sesame" not in json.dumps(described)
    assert described["base_url"] == "http://127.0.0.1:40002"
    assert described["token"] == str(one.directory / "token.root")
    assert described["user_token"] == str(one.directory / "token.alice")
    assert described["nodes"] == [
        {
            "name": "node1",
            "roles": ["slurmctld", "slurmdbd", "slurmrestd", "slurmd"],
            "ssh": {"host": "127.0.0.1", "port": 40001},
            "rest": {"host": "127.0.0.1", "port": 40002},
        }
    ]
    promised = "name slurm_version layout nodes base_url unix_socket token user_token api_versions timings verify"
    assert set(promised.split()) <= set(described)


@pytest.mark.usefixtures("state")
def test_bare_cluster_promises_no_rest() -> None:
    one = cluster()
    one.bare = True
    described = describe.describe(one)
    assert (described["base_url"], described["token"], described["unix_socket"]) == (None, None, None)


def test_node_that_goes_while_it_is_looked_at_is_not_running(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Vanishing(Engine):
        def containers(self, label: str) -> list[Container]:
            assert label == f"{CLUSTER_LABEL}=one"
            return [container(state, running=True)]

        def ports(self, container: str) -> dict[int, int]:
            raise EngineError(f"no such container: {container}")

    monkeypatch.setattr(liveness, "engine_of", lambda *_: Vanishing("podman"))
    assert liveness.refresh(cluster(), Progress()) == {"node1": False}
    assert not state.exists()


@pytest.mark.usefixtures("state")
def test_a_cluster_that_stands_still_is_told_with_what_it_is_since(tmp_path: Path) -> None:
    one = cluster()
    one.save()
    kernel = tmp_path / "stat"
    kernel.write_text("cpu 1 2 3\nbtime 1\n", encoding="ascii")
    assert liveness.standstill(one, {"a": True, "b": True}, kernel) is None
    assert liveness.standstill(one, {"a": True, "b": False}, kernel) == "these nodes do not run: b"
    assert liveness.standstill(one, {"a": False, "b": False}, kernel) == "stopped"
    kernel.write_text("cpu 1 2 3\nbtime 99999999999\n", encoding="ascii")
    assert liveness.standstill(one, {"a": False, "b": False}, kernel) == "stopped, since this host was rebooted"


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize(
    ("nodes", "whole", "refused"),
    [
        ({"a": True, "b": True}, True, ""),
        ({"a": True, "b": False}, True, "these nodes do not run: b"),
        ({"a": True, "b": False}, False, ""),
        ({"a": False, "b": False}, False, "stopped"),
    ],
)
def test_what_needs_a_cluster_that_runs(
    monkeypatch: pytest.MonkeyPatch, nodes: dict[str, bool], *, whole: bool, refused: str
) -> None:
    one = cluster()
    one.save()
    monkeypatch.setattr(liveness, "refresh", lambda *_: nodes)
    if not refused:
        liveness.require(one, Progress(quiet=True), whole=whole)
        return
    with pytest.raises(CannotRunError, match=f"The cluster one: {refused}") as caught:
        liveness.require(one, Progress(quiet=True), whole=whole)
    assert caught.value.remedy == "Start it anew: slurmrest cluster up one"


@pytest.mark.usefixtures("state")
def test_removing_an_unknown_cluster_says_so_on_a_host_that_never_had_an_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(CannotRunError, match="no cluster called one"):
        remove.down(["one"], Progress())
    cluster().save()
    with pytest.raises(CannotRunError, match="no container engine"):
        remove.down(["one"], Progress())
