"""In which order hosts write their files where there are several controllers, and who stands by meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from tests.render.roles import evaluate

HOSTS = ["ctl1", "ctl2", "ctl3", "db", "c1"]


def cluster(running: dict[str, str], play_hosts: list[str] = HOSTS) -> dict[str, Any]:
    """Three controllers, each with the state of its slurmctld."""
    seen = {
        host: {
            "inventory_hostname": host,
            "ansible_facts": {"slurmrest": {"units": {"slurmctld": {"active": running.get(host, "absent")}}}},
        }
        for host in HOSTS
    }
    return {
        "slurm_common_controllers": HOSTS[:3],
        "groups": {"slurmctld": HOSTS[:3], "slurmdbd": ["db"]},
        "ansible_play_hosts": play_hosts,
        "hostvars": seen,
        "inventory_hostname": "ctl1",
    }


UP = dict.fromkeys(HOSTS[:3], "active")


@pytest.mark.parametrize(
    ("running", "turns", "aside"),
    [
        (UP, [["db"], ["ctl2"], ["ctl3"], ["ctl1"], ["c1"]], ["ctl2", "ctl3"]),
        # The backup is in charge: it comes last, and nobody else answers but the third.
        ({**UP, "ctl1": "failed"}, [["db"], ["ctl1"], ["ctl3"], ["ctl2"], ["c1"]], ["ctl3"]),
        ({"ctl1": "active"}, [["db"], ["ctl2"], ["ctl3"], ["ctl1"], ["c1"]], []),
    ],
)
def test_the_one_in_charge_comes_last_and_the_others_stand_aside(
    running: dict[str, str], turns: list[list[str]], aside: list[str]
) -> None:
    variables = cluster(running)
    assert evaluate("slurm_conf", "__slurm_conf_turns", variables, {}) == turns
    assert evaluate("slurm_conf", "__slurm_conf_standing_by", variables, {}) == aside


def test_who_is_not_part_of_the_run_is_left_alone() -> None:
    variables = cluster(UP, ["ctl1", "ctl3", "db"])
    assert evaluate("slurm_conf", "__slurm_conf_standing_by", variables, {}) == ["ctl3"]


def test_who_failed_in_a_turn_is_known_in_the_next_one() -> None:
    turns = {"ansible_loop": {"allitems": [["db"], ["ctl2"], ["ctl3"], ["ctl1"], ["c1"]]}}
    assert evaluate("slurm_conf", "__slurm_conf_fallen", {**cluster(UP), **turns}, {}) == []
    fallen = cluster(UP, ["ctl1", "ctl3", "db", "c1"])
    assert evaluate("slurm_conf", "__slurm_conf_fallen", {**fallen, **turns}, {}) == ["ctl2"]


def test_a_killed_run_leaves_a_timer_that_brings_them_back() -> None:
    *_shell, aside = evaluate("slurm_common", "__slurm_common_aside", {}, {})
    *_shell, back = evaluate("slurm_common", "__slurm_common_back", {}, {})
    assert aside.index("systemd-run ") < aside.index("&& systemctl stop slurmctld")
    assert aside.startswith("systemctl is-active slurmctld || exit;"), "who does not run does not leave"
    assert "--on-active=300 systemctl start slurmctld" in aside
    assert "systemctl stop slurmrest-standby.timer" in back
