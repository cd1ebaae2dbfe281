"""Under sudo, files belong to whoever called it; nothing else of root's is given away."""

from __future__ import annotations

import os
import pwd
import signal
from pathlib import Path

import pytest

from slurmrest_toolkit import api
from slurmrest_toolkit.clusters import journals, liveness, remove
from slurmrest_toolkit.clusters.layouts import plan_nodes
from slurmrest_toolkit.clusters.state import Cluster
from slurmrest_toolkit.command import main
from slurmrest_toolkit.command.cluster.reporting import reporting
from slurmrest_toolkit.pytest_plugin import sharing
from slurmrest_toolkit.support import locks, sudo
from tests.unit.played_engine import PlayedEngine

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
RUNNER = pwd.struct_passwd(("runner", "x", 54321, 54322, "", "", "/bin/sh"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of an account that called sudo."""
    place = tmp_path / "home"
    place.mkdir()
    os.chown(place, RUNNER.pw_uid, RUNNER.pw_gid)
    account = pwd.struct_passwd((*RUNNER[:5], str(place), RUNNER[6]))
    monkeypatch.setattr(pwd, "getpwuid", {RUNNER.pw_uid: account}.__getitem__)
    monkeypatch.setenv("SUDO_UID", str(RUNNER.pw_uid))
    for name in ("SLURMREST_STATE_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return place


def owner(path: Path) -> int:
    return path.lstat().st_uid


def test_clusters_are_in_the_callers_home_and_its_own(home: Path) -> None:
    cluster = Cluster("one", "24.11", "single", "podman", plan_nodes("one", "single", 1))
    built = locks.state_directory() / "build/root/etc/shadow"

    def run(*_: object) -> int:
        cluster.save()
        built.parent.mkdir(parents=True)
        built.touch()
        return 0

    assert reporting(run)(None) == 0  # type: ignore[arg-type]
    assert cluster.directory == home / ".local/state/slurmrest/clusters/one"
    path = cluster.directory / "cluster.json"
    assert path.stat().st_gid == RUNNER.pw_gid
    while path != home:
        assert owner(path) == RUNNER.pw_uid, path
        path = path.parent
    assert owner(home.parent) == owner(built) == 0


def test_a_failed_command_gives_its_files_away_too(home: Path) -> None:
    def run(*_: object) -> int:
        (locks.state_directory() / "failed/one").mkdir(parents=True)
        raise KeyboardInterrupt

    reporting(run)(None)  # type: ignore[arg-type]
    assert owner(home / ".local/state/slurmrest/failed/one") == RUNNER.pw_uid


def test_a_copy_that_a_killed_load_left_stays_roots_and_alone(home: Path) -> None:
    state = home / ".local/state/slurmrest"
    left = state / "load-abc"
    left.mkdir(parents=True)
    locks.hand_over_state()
    assert (owner(state), owner(left)) == (RUNNER.pw_uid, 0)


def test_what_a_program_does_to_a_cluster_leaves_nothing_of_roots(home: Path) -> None:
    with liveness.owned("one"):
        Cluster("one", "24.11", "single", "podman", plan_nodes("one", "single", 1)).save()
    state = home / ".local/state/slurmrest"
    for path in (state, state / "clusters/one/cluster.json", state / "locks/one.lock"):
        assert owner(path) == RUNNER.pw_uid


@pytest.mark.parametrize("keep", [True, False])
def test_what_a_run_of_pytest_keeps_is_the_callers(home: Path, monkeypatch: pytest.MonkeyPatch, keep: bool) -> None:
    def start(name: str, **_: object) -> None:
        Cluster(name, "24.11", "single", "podman", plan_nodes(name, "single", 1)).save()

    monkeypatch.setattr(api, "start", start)
    monkeypatch.setattr(remove, "down", lambda *_: None)
    state = home / ".local/state/slurmrest"
    how = {"slurm": None, "layout": "single", "nodes": 1, "allow_stale_mirror": False, "keep": keep}
    with sharing.shared("pytest-one", **how):  # type: ignore[arg-type]
        assert owner(state / "clusters/pytest-one/cluster.json") == RUNNER.pw_uid, "a killed run leaves it so"
        os.chown(state / "clusters/pytest-one/cluster.json", 0, 0)
    assert [path for path in (home / ".local").rglob("*") if owner(path) != RUNNER.pw_uid] == []
    assert owner(home / ".local") == RUNNER.pw_uid


def test_what_a_run_of_pytest_sweeps_is_the_callers(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remove, "down", lambda *_: None)
    sharing.directory().mkdir(parents=True)
    (sharing.directory() / f"pytest-one{sharing.USERS}").touch()
    assert sharing.sweep() == []
    there = [path for path in (home / ".local").rglob("*") if path.name != "pytest-one.users"]
    assert {owner(path) for path in there} == {RUNNER.pw_uid}
    assert [path.name for path in there if path.suffix] == ["pytest.lock"]


@pytest.mark.usefixtures("home")
def test_a_state_directory_with_other_things_stays_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path / "srv"))
    (tmp_path / "srv/clusters/one").mkdir(parents=True)
    (tmp_path / "srv/notes").touch()
    locks.hand_over_state()
    assert owner(tmp_path / "srv/clusters/one") == RUNNER.pw_uid
    assert owner(tmp_path / "srv") == owner(tmp_path / "srv/notes") == 0


def test_neither_links_nor_second_names_reach_other_files(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").touch()
    (other / "linked").touch()
    place = home / "place"
    place.mkdir()
    (place / "link").symlink_to(other)
    (place / "file").symlink_to(other / "file")
    os.link(other / "linked", place / "second")
    sudo.hand_over(place)
    assert [owner(place / name) for name in ("link", "file")] == [RUNNER.pw_uid] * 2
    assert {owner(path) for path in (other, *other.iterdir())} == {0}


@pytest.mark.parametrize("link", [".local/state", ".local/state/slurmrest", ".local/state/slurmrest/clusters"])
def test_a_link_of_the_callers_in_place_of_a_directory_gives_nothing_away(
    home: Path, tmp_path: Path, link: str
) -> None:
    """By such a link a directory of root's, of the right name, would be within the home."""
    for name in ("clusters/one", "slurmrest/clusters/one"):
        (tmp_path / "roots" / name).mkdir(parents=True)
    there = home / link
    there.parent.mkdir(parents=True, exist_ok=True)
    there.symlink_to(tmp_path / "roots")
    for path in (there, *there.parents):
        if home in path.parents:
            os.lchown(path, RUNNER.pw_uid, RUNNER.pw_gid)
    locks.hand_over_state()
    assert {owner(path) for path in (tmp_path / "roots").rglob("*")} == {0}
    assert owner(tmp_path / "roots") == 0


@pytest.mark.parametrize("uid", ["", "0", "-1", "x", "²", "77"])
def test_without_an_account_that_called_nothing_is_given_away(
    home: Path, monkeypatch: pytest.MonkeyPatch, uid: str
) -> None:
    monkeypatch.setenv("SUDO_UID", uid)
    (home / "file").touch()
    sudo.hand_over(home / "file")
    locks.hand_over_state()
    assert sudo.caller() is None
    assert owner(home / "file") == 0


@pytest.mark.usefixtures("home")
def test_logs_take_the_place_of_links(tmp_path: Path) -> None:
    cluster = Cluster("one", "24.11", "single", "podman", plan_nodes("one", "single", 1))
    (cluster.directory / "logs").mkdir(parents=True)
    (cluster.directory / "logs/ansible.log").write_text("said")
    there, other = tmp_path / "there", tmp_path / "other"
    there.mkdir()
    other.write_text("kept")
    for name in ("node1.journal", "ansible.log"):
        (there / name).symlink_to(other)
    assert journals.keep(cluster, {"node1": "text"}, there) == ["ansible.log", "node1.journal"]
    assert other.read_text() == "kept"
    assert [(there / name).read_text() for name in ("ansible.log", "node1.journal")] == ["said", "text"]


@pytest.mark.usefixtures("home")
def test_logs_are_given_away_and_what_was_there_is_not(tmp_path: Path) -> None:
    cluster = Cluster("one", "24.11", "single", "podman", plan_nodes("one", "single", 1))
    there = tmp_path / "there"
    there.mkdir()
    (there / "old").touch()
    journals.keep(cluster, {"node1": "text"}, there)
    journals.keep(cluster, {"node1": "text"}, tmp_path / "new")
    assert owner(there) == owner(there / "old") == 0
    assert owner(there / "node1.journal") == owner(tmp_path / "new") == RUNNER.pw_uid


def test_a_token_in_a_file_is_the_callers(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its owner reads it."""
    Cluster("one", "24.11", "single", "podman", plan_nodes("one", "single", 1)).save()
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # pytest keeps its own
    monkeypatch.setattr(liveness, "engine_of", lambda *_: PlayedEngine())
    monkeypatch.setattr(liveness, "refresh", lambda *_: {"node1": True})
    assert main.main(["cluster", "token", "--output", str(home / "secrets/token")]) == 0
    assert owner(home / "secrets/token") == owner(home / "secrets") == RUNNER.pw_uid
