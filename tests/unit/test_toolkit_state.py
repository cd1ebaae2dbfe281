"""Names, layouts, and what is remembered on disk."""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slurmrest.errors import InputError

from slurmrest_toolkit.clusters import state
from slurmrest_toolkit.support.errors import CannotRunError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path / "state"))


def cluster(name: str = "one", layout: str = "single", compute: int = 1) -> state.Cluster:
    return state.Cluster(name, "24.11.5", layout, "podman", state.plan_nodes(name, layout, compute))


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


def test_single_layout_has_everything_on_one_node() -> None:
    (node,) = state.plan_nodes("x", "single", 1)
    assert (node.name, node.container) == ("node1", "slurmrest-x-node1")
    assert node.roles == ["slurmctld", "slurmdbd", "slurmrestd", "slurmd"]


def test_split_layout_separates_the_rest_host() -> None:
    nodes = state.plan_nodes("x", "split", 2)
    assert [(node.name, node.roles) for node in nodes] == [
        ("ctl", ["slurmctld"]),
        ("db", ["slurmdbd"]),
        ("rest", ["slurmrestd"]),
        ("c1", ["slurmd"]),
        ("c2", ["slurmd"]),
    ]


@pytest.mark.parametrize(("layout", "count"), [("single", 2), ("single", 0), ("split", 0), ("split", 65), ("ring", 1)])
def test_layouts_that_are_refused(layout: str, count: int) -> None:
    with pytest.raises(InputError, match=r"--nodes|--layout"):
        state.plan_nodes("x", layout, count)


def test_a_saved_cluster_comes_back_and_is_private() -> None:
    saved = cluster(layout="split", compute=3)
    saved.nodes[2].rest_port = 40001
    saved.save()
    assert state.load("one") == saved
    file = saved.directory / "cluster.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(saved.directory.stat().st_mode) == 0o700
    assert [path.name for path in saved.directory.iterdir()] == ["cluster.json"]


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
