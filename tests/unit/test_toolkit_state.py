"""Names, and what is remembered on disk."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slurmrest.errors import InputError

from slurmrest_toolkit.clusters import state
from slurmrest_toolkit.clusters.layouts import plan_nodes
from slurmrest_toolkit.support.errors import CannotRunError
from slurmrest_toolkit.support.locks import locked

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path / "state"))


def cluster(name: str = "one", layout: str = "single", compute: int = 1) -> state.Cluster:
    return state.Cluster(name, "24.11.5", layout, "podman", plan_nodes(name, layout, compute))


@given(st.text())
def test_names_that_pass_are_safe_in_paths_and_container_names(name: str) -> None:
    try:
        state.validate_name(name)
    except InputError:
        return
    assert re.fullmatch(r"[a-z][a-z0-9-]{0,29}", name)
    assert not name.endswith("-")


@pytest.mark.parametrize("name", ["", "A", "1a", "a_b", "a-", "../a", "a" * 31, "a\n"])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="--name"):
        state.validate_name(name)


def test_a_saved_cluster_comes_back_and_is_private() -> None:
    saved = cluster(layout="split", compute=3)
    saved.nodes[2].rest_port = 40001
    saved.save()
    assert state.load("one") == saved
    file = saved.directory / "cluster.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(saved.directory.stat().st_mode) == 0o700
    assert [path.name for path in saved.directory.iterdir()] == ["cluster.json"]


def test_nobody_puts_another_directory_in_the_place_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many hosts let a group write in new directories, and a group may be everybody's."""
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path / "local" / "state" / "slurmrest"))
    before = os.umask(0o002)
    try:
        cluster().save()
        with locked(tmp_path / "cache" / "slurmrest" / "image.lock", waiting=None):
            pass
        state.write_private(tmp_path / "new" / "deep" / "token", "x")
    finally:
        os.umask(before)
    made = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert len(made) > 6
    assert [path for path in made if stat.S_IMODE(path.stat().st_mode) != 0o700] == []


def test_only_cluster_is_chosen_and_several_are_not() -> None:
    with pytest.raises(CannotRunError, match="no cluster"):
        state.choose(None)
    cluster().save()
    assert state.choose(None).name == "one"
    cluster("two").save()
    with pytest.raises(CannotRunError, match="several clusters: one, two"):
        state.choose(None)
    assert state.choose("two").name == "two"
    with pytest.raises(CannotRunError, match=r"no cluster called three \(there: one, two\)"):
        state.choose("three")


def test_unknown_node_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="ctl, db, rest, c1"):
        cluster(layout="split").node("node1")
