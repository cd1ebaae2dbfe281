"""Decisions about what is there already, and what machines are told."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slurmrest_toolkit.clusters import describe, liveness, remove
from slurmrest_toolkit.clusters.layouts import plan_nodes
from slurmrest_toolkit.clusters.state import CLUSTER_LABEL, STATE_LABEL, Cluster, load, write_private
from slurmrest_toolkit.clusters.tokens import header_file, token_file
from slurmrest_toolkit.containers.engine import Container, Engine, EngineError
from slurmrest_toolkit.support.errors import CannotRunError
from slurmrest_toolkit.support.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.fixture(name="state")
def a_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path / "ours"))
    return tmp_path / "ours"


def cluster(*, ready: bool = True) -> Cluster:
    nodes = plan_nodes("one", "single", 1)
    nodes[0].ssh_port, nodes[0].rest_port = 40001, 40002
    return Cluster("one", "24.11.5", "single", "podman", nodes, ready=ready, api_versions=["v0.0.41", "v0.0.42"])


class Listed(Engine):
    """An engine that has things under the name ``one``, each with the state directory that its label names."""

    things: dict[str, dict[str, str]]
    running: bool

    def __init__(self, owner: Path | str, *kinds: str, running: bool = True) -> None:
        super().__init__("podman")
        names = {"container": "slurmrest-one-node1", "network": "slurmrest-one", "volume": "slurmrest-one-state"}
        things = {kind: {name: str(owner)} if kind in kinds else {} for kind, name in names.items()}
        object.__setattr__(self, "things", things)
        object.__setattr__(self, "running", running)

    def containers(self, label: str) -> list[Container]:
        assert label == f"{CLUSTER_LABEL}=one"
        return [Container(name, self.running, {STATE_LABEL: owner}) for name, owner in self.things["container"].items()]

    def networks(self, label: str) -> list[str]:
        assert label == f"{CLUSTER_LABEL}=one"
        return list(self.things["network"])

    def volumes(self, label: str) -> list[str]:
        assert label == f"{CLUSTER_LABEL}=one"
        return list(self.things["volume"])

    def labelled(self, kind: str, name: str, key: str) -> str:
        assert key == STATE_LABEL
        return self.things[kind][name]

    def remove_containers(self, names: Sequence[str]) -> None:
        for name in names:
            del self.things["container"][name]

    def call(self, *arguments: str, **_how: object) -> str:
        if arguments[:2] != ("network", "rm"):
            raise EngineError("no such container")
        del self.things["network"][arguments[2]]
        return ""

    def remove_volume(self, name: str) -> None:
        del self.things["volume"][name]

    def empty(self) -> bool:
        return not any(self.things.values())


ALL = ("container", "network", "volume")
QUIET = Progress(quiet=True)


def remembered_elsewhere(tmp_path: Path) -> Path:
    """Another state directory, which remembers a cluster of the same name."""
    write_private(tmp_path / "other" / "clusters" / "one" / "cluster.json", "{}")
    return tmp_path / "other"


def down_one(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remove, "engine_of", lambda *_: engine)
    remove.down(["one"], QUIET)


def test_nothing_is_there(state: Path) -> None:
    remove.make_room(Listed(state), "one", QUIET)


def test_live_cluster_of_ours_is_kept(state: Path) -> None:
    cluster().save()
    engine = Listed(state, *ALL)
    with pytest.raises(CannotRunError, match="The cluster one exists"):
        remove.make_room(engine, "one", QUIET)
    assert not engine.empty()
    assert (state / "clusters" / "one").exists()


@pytest.mark.parametrize(
    ("ready", "kinds", "running"),
    [(True, ALL, False), (True, (), False), (False, ALL, True), (None, ALL, True), (None, ("network",), False)],
)
def test_what_a_start_or_a_reboot_left_makes_room(
    state: Path, ready: bool | None, kinds: tuple[str, ...], running: bool
) -> None:
    if ready is not None:
        cluster(ready=ready).save()
    engine = Listed(state, *kinds, running=running)
    remove.make_room(engine, "one", QUIET)
    assert engine.empty()
    assert not (state / "clusters" / "one").exists()


@pytest.mark.parametrize("kinds", [ALL, ("network",)])
@pytest.mark.parametrize("running", [True, False])
def test_a_cluster_of_another_state_directory_is_nobodys_to_remove(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: tuple[str, ...], running: bool
) -> None:
    """Also where it only begins, or was stopped by a reboot: on one engine of several accounts, for instance."""
    other = remembered_elsewhere(tmp_path)
    engine = Listed(other, *kinds, running=running)
    with pytest.raises(CannotRunError, match=f"Another state directory has a cluster called one: {other}"):
        remove.make_room(engine, "one", QUIET)
    with pytest.raises(CannotRunError, match="Another state directory"):
        down_one(engine, monkeypatch)
    remove.give_up(engine, cluster(ready=False), EngineError("its network is there"), QUIET, keep=False)
    assert not engine.empty()
    cluster().save()
    down_one(engine, monkeypatch)
    assert not engine.empty(), "what this one remembers is gone, and nothing else"
    assert not (state / "clusters" / "one").exists()


def test_a_cluster_of_a_lost_state_directory_makes_room(state: Path, tmp_path: Path) -> None:
    engine = Listed(tmp_path / "lost", *ALL)
    remove.make_room(engine, "one", QUIET)
    assert engine.empty()
    assert not state.joinpath("clusters", "one").exists()


@pytest.mark.usefixtures("state")
def test_a_state_directory_that_cannot_be_looked_into_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "closed"
    found = Path.stat

    def closed(path: Path, **how: bool) -> os.stat_result:
        if other in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return found(path, **how)

    monkeypatch.setattr(Path, "stat", closed)
    engine = Listed(other, *ALL)
    with pytest.raises(CannotRunError, match="Another state directory"):
        remove.make_room(engine, "one", QUIET)


def test_a_cluster_of_roots_podman_is_not_looked_for_in_an_accounts(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = cluster()
    one.root = os.geteuid() != 0
    one.save()
    with pytest.raises(CannotRunError, match="is run by "):
        remove.make_room(Listed(state), "one", QUIET)
    with pytest.raises(CannotRunError, match="is run by "):
        remove.down(["one"], QUIET)
    with pytest.raises(CannotRunError, match="is run by "):
        liveness.require(one, QUIET)
    assert load("one") == one
    one.root = os.geteuid() == 0
    one.save()
    down_one(Listed(state), monkeypatch)
    assert load("one") is None


def test_a_record_that_cannot_be_read_is_named_and_can_be_removed(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Listed(state, *ALL)
    for text in ("", "[]", '{"name": "one"}'):
        write_private(state / "clusters" / "one" / "cluster.json", text)
        with pytest.raises(CannotRunError, match="cluster\\.json is no record of a cluster") as caught:
            remove.make_room(engine, "one", QUIET)
        assert str(caught.value.remedy).endswith("slurmrest cluster down one")
    down_one(engine, monkeypatch)
    assert engine.empty()


@pytest.mark.usefixtures("state")
def test_what_a_later_version_remembers_besides_is_passed_over() -> None:
    one = cluster()
    one.save()
    path = one.directory / "cluster.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**data, "colour": "blue", "nodes": [{**data["nodes"][0], "rack": 1}]}))
    assert load("one") == one


@pytest.mark.usefixtures("state")
def test_one_cluster_that_cannot_be_removed_does_not_keep_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def refuse(name: str, _progress: Progress) -> None:
        asked.append(name)
        if name != "b":
            raise CannotRunError(f"{name} stays")

    monkeypatch.setattr(remove, "down_one", refuse)
    with pytest.raises(CannotRunError, match="c stays"):
        remove.down(["a", "b", "c"], Progress())
    assert asked == ["a", "b", "c"]
    assert "a stays" in capsys.readouterr().err


def test_a_full_disk_does_not_keep_a_failed_start_from_being_removed(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = cluster(ready=False)
    write_private(one.directory / "logs" / "ansible.log", "what happened\n")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(remove, "show_journals", full)
    monkeypatch.setattr(shutil, "copytree", full)
    engine = Listed(state, *ALL)
    remove.give_up(engine, one, EngineError("it failed"), Progress(), keep=False)
    assert engine.empty()
    assert not one.directory.exists()
    assert "No space left on device" in capsys.readouterr().err


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
            return [Container("slurmrest-one-node1", True, {STATE_LABEL: str(state)})]

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
    again = (
        "slurmrest cluster down one && slurmrest cluster up one" if any(nodes.values()) else "slurmrest cluster up one"
    )
    assert caught.value.remedy == f"Start it anew: {again}."


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
