"""The layouts of test clusters."""

from __future__ import annotations

import pytest
from slurmrest.errors import InputError

from slurmrest_toolkit.clusters.layouts import plan_nodes
from slurmrest_toolkit.clusters.state import Cluster


def cluster(layout: str) -> Cluster:
    return Cluster("one", "24.11.5", layout, "podman", plan_nodes("one", layout, 1))


def test_single_layout_has_everything_on_one_node() -> None:
    (node,) = plan_nodes("x", "single", 1)
    assert (node.name, node.container) == ("node1", "slurmrest-x-node1")
    assert node.roles == ["slurmctld", "slurmdbd", "slurmrestd", "slurmd"]


def test_split_layout_separates_the_rest_host() -> None:
    nodes = plan_nodes("x", "split", 2)
    assert [(node.name, node.roles) for node in nodes] == [
        ("ctl", ["slurmctld"]),
        ("db", ["slurmdbd"]),
        ("rest", ["slurmrestd"]),
        ("c1", ["slurmd"]),
        ("c2", ["slurmd"]),
    ]


def test_ha_layout_has_two_controllers_with_one_state() -> None:
    pair = cluster("ha")
    assert [(node.name, node.roles) for node in pair.nodes] == [
        ("ctl1", ["slurmctld"]),
        ("ctl2", ["slurmctld"]),
        ("db", ["slurmdbd", "slurmd"]),
        ("rest1", ["slurmrestd"]),
        ("rest2", ["slurmrestd"]),
    ]
    assert [node.name for node in pair.nodes if pair.volumes_of(node)] == ["ctl1", "ctl2"]
    assert pair.volumes_of(pair.controller) == {"slurmrest-one-state": "/var/lib/slurm/slurmctld"}
    one = cluster("single")
    assert one.volumes_of(one.controller) == {}


@pytest.mark.parametrize(
    ("layout", "count", "names"),
    [
        ("single", 1, ["node1"]),
        ("split", 1, ["rest"]),
        ("split", 3, ["rest1", "rest2", "rest3"]),
        ("ha", 1, ["rest1"]),
        ("ha", None, ["rest1", "rest2"]),
    ],
)
def test_rest_hosts_are_as_many_as_asked_for(layout: str, count: int | None, names: list[str]) -> None:
    nodes = plan_nodes("x", layout, 1, count)
    assert [node.name for node in nodes if "slurmrestd" in node.roles] == names
    for number, node in enumerate(nodes):
        node.rest_port = 40000 + number
    one = Cluster("x", "", layout, "podman", nodes)
    assert one.base_urls == [f"http://127.0.0.1:{node.rest_port}" for node in one.rest_nodes]
    assert one.base_url == one.base_urls[0]


@pytest.mark.parametrize(
    ("layout", "count", "rest"),
    [
        ("single", 2, None),
        ("single", 0, None),
        ("split", 0, None),
        ("split", 65, None),
        ("ha", 2, None),
        ("ring", 1, None),
        ("single", 1, 2),
        ("split", 1, 0),
        ("ha", 1, 17),
    ],
)
def test_layouts_that_are_refused(layout: str, count: int, rest: int | None) -> None:
    with pytest.raises(InputError, match=r"--nodes|--layout|--rest-hosts"):
        plan_nodes("x", layout, count, rest)
