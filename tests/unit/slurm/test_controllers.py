"""Several controllers: who is in charge, from a heartbeat and from who answers."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slurmrest.slurm import controllers
from slurmrest.slurm.controllers import Standing, judge
from slurmrest.slurm.heartbeat import Heartbeat, read_heartbeat

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PAIR = ["ctl1", "ctl2"]


def standing(silent: list[str], index: int | None, age: float = 1.0, timeout: int = 10, hosts: Any = PAIR) -> Standing:
    return judge(hosts, silent, None if index is None else Heartbeat(index, 1000), 1000 + age, timeout)


@pytest.mark.parametrize(
    ("silent", "index", "kind", "leader"),
    [
        ([], 0, controllers.NORMAL, "ctl1"),
        (["ctl2"], 0, controllers.DEGRADED, "ctl1"),
        (["ctl1"], 1, controllers.DEGRADED, "ctl2"),
        (["ctl1"], 0, controllers.TAKEOVER, "ctl1"),
        (["ctl2"], 1, controllers.TAKEOVER, "ctl2"),
        ([], 1, controllers.TAKE_BACK, "ctl2"),
        (PAIR, 0, controllers.DOWN, ""),
        ([], None, controllers.UNKNOWN, ""),
        ([], 7, controllers.UNKNOWN, ""),
    ],
)
def test_who_is_in_charge(silent: list[str], index: int | None, kind: str, leader: str) -> None:
    found = standing(silent, index)
    assert (found.kind, found.leader) == (kind, leader)
    assert Standing.of(found.as_dict()) == found


def test_what_is_going_on_is_said_with_its_numbers() -> None:
    assert str(standing(["ctl1"], 0, age=4, timeout=120)) == (
        "ctl1 is gone and ctl2 takes over from it in about 116 s (the last heartbeat of ctl1 is 4 s old, "
        "SlurmctldTimeout 120 s); until then all wait"
    )
    assert "ctl2 takes over from it any moment" in str(standing(["ctl1"], 0, age=12))
    assert str(standing([], 1)).startswith("ctl1 has started and takes the cluster back from ctl2, for about 31 s")
    assert str(standing(["ctl1"], 1)) == "ctl2 is in charge, and slurmctld does not answer on ctl1"
    assert str(standing(PAIR, 0)) == "slurmctld answers on none of ctl1, ctl2"
    assert "no heartbeat" in str(standing([], None))
    assert str(standing([], 0)) == "ctl1 is in charge"


@given(st.lists(st.sampled_from(["a", "b", "c"]), unique=True), st.none() | st.integers(0, 4), st.floats(0, 1e6))
def test_every_look_comes_to_something(silent: list[str], index: int | None, age: float) -> None:
    found = standing(silent, index, age, hosts=["a", "b", "c"])
    assert str(found)
    assert set(found.silent) == set(silent)
    assert (found.kind == controllers.DOWN) == (len(silent) == 3)


@pytest.fixture(name="state")
def a_state(tmp_path: Path) -> Path:
    (tmp_path / "heartbeat").write_bytes(struct.pack(">QQ", int(time.time()) - 5, 1))
    return tmp_path


def test_a_heartbeat_is_read_and_what_is_none_is_not(state: Path) -> None:
    found = read_heartbeat(str(state))
    assert found is not None
    assert found.index == 1
    (state / "heartbeat").write_bytes(b"short")
    assert read_heartbeat(str(state)) is None
    assert read_heartbeat(str(state / "elsewhere")) is None


def test_a_look_asks_each_address_and_a_single_controller_is_not_looked_at(state: Path) -> None:
    asked = []

    def reach(place: str, port: str) -> Mapping[str, Any]:
        asked.append((place, port))
        return {"error": "" if place == "192.0.2.2" else "Connection refused"}

    conf = {
        "slurmctld_hosts": PAIR,
        "slurmctld_addresses": ["192.0.2.1", "192.0.2.2"],
        "slurmctld_port": "6817-6820",
        "slurmctld_timeout": 30,
        "state_save_location": str(state),
    }
    found = controllers.look(conf, reach)
    assert found is not None
    assert (found.kind, found.leader, found.silent, found.timeout) == (controllers.DEGRADED, "ctl2", ("ctl1",), 30)
    assert 4 <= found.age <= 60
    assert asked == [("192.0.2.1", "6817"), ("192.0.2.2", "6817")]
    assert controllers.look({**conf, "slurmctld_hosts": ["ctl1"]}, reach) is None


def test_who_leads_a_run() -> None:
    assert controllers.serving(PAIR, {"ctl1": True, "ctl2": True}) == "ctl1"
    assert controllers.serving(PAIR, {"ctl1": False, "ctl2": True}) == "ctl2"
    assert controllers.serving(PAIR, {"ctl2": True}) == "ctl2"
    assert controllers.serving(PAIR, {"ctl1": False, "ctl2": False}) == "ctl1"
    assert controllers.serving(PAIR, {"ctl2": False}) == "ctl2"
    assert controllers.serving(PAIR, {}) == "ctl1"
    assert controllers.serving([], {}) == ""
