"""Several controllers: what is a fault, what passes, and what costs what."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest
from slurmrest.doctor.diagnosis import passing_only
from slurmrest.doctor.judgement import judged
from slurmrest.slurm.controllers import judge
from slurmrest.slurm.heartbeat import Heartbeat

from tests.unit.doctor.test_doctor import evidence, ids, split
from tests.unit.doctor.test_doctor import judge as diagnosed

NOW = int(time.time())
PAIR = ["ctl", "ctl2"]


def pair(*silent: str, index: int = 0, age: int = 1, **states: str) -> dict[str, Any]:
    """A cluster with a backup controller: who does not answer, whose heartbeat it is, how old; units by host."""
    data = split()
    data["hosts"]["ctl2"] = copy.deepcopy(data["hosts"]["ctl"])
    found = judge(PAIR, silent, Heartbeat(index, NOW - age), NOW, 10).as_dict()
    for name in PAIR:
        seen = {"standing": found, "state": "/state", "heartbeat": [index, NOW - age], "inode": 7}
        data["hosts"][name]["controllers"] = seen
        data["hosts"][name]["units"]["slurmctld"].update(active=states.get(name, "active"))
        if states.get(name) == "inactive":
            data["hosts"][name]["units"]["slurmctld"].update(sub="dead", result="success", condition=True)
    return data


def test_a_healthy_pair_gives_no_finding() -> None:
    assert ids(diagnosed(pair())) == []
    assert diagnosed(pair(), preflight=True).healthy


def test_a_primary_that_is_down_is_named_with_who_is_in_charge_and_what_its_return_costs() -> None:
    data = pair("ctl", index=1, ctl="inactive")
    (finding,) = diagnosed(data).findings
    assert finding.id == "slurmctld-stopped"
    assert finding.host == "ctl"
    assert "ctl2 is in charge meanwhile, so that REST works." in finding.cause
    assert "takes the cluster back: for about 31 s nothing is answered" in finding.remedy
    assert diagnosed(data, preflight=True).healthy, "a deployment goes on"


def test_a_backup_that_is_down_takes_nothing_back() -> None:
    (finding,) = diagnosed(pair("ctl2", ctl2="inactive")).findings
    assert finding.id == "slurmctld-stopped"
    assert "ctl is in charge meanwhile" in finding.cause
    assert "takes the cluster back" not in finding.remedy


def test_a_takeover_is_a_consequence_of_the_controller_that_is_gone() -> None:
    data = pair("ctl", ctl="inactive")
    data["hosts"]["rest"]["token_refused"] = "ctl is gone and ctl2 takes over from it in about 9 s"
    (finding,) = diagnosed(data).findings
    assert finding.id == "slurmctld-stopped"
    assert any("No controller is in charge" in text for text in finding.consequences)


def test_a_take_back_is_told_and_passes() -> None:
    data = pair(index=1)
    data["hosts"]["rest"]["token_refused"] = "ctl has started"
    report = diagnosed(data)
    (finding,) = report.findings
    assert finding.id == "no-controller-in-charge"
    assert "ctl has started and takes the cluster back from ctl2" in finding.cause
    assert passing_only(report)
    assert ids(diagnosed(data, preflight=True)) == ["no-controller-in-charge"], "no restart into that"


def test_a_controller_that_runs_and_does_not_answer_is_named() -> None:
    (finding,) = diagnosed(pair("ctl2")).findings
    assert (finding.id, finding.host) == ("controller-silent", "ctl2")


@pytest.mark.parametrize("written", [None, [1, NOW - 3600]])
def test_a_state_that_is_not_shared(written: list[int] | None) -> None:
    data = pair()
    data["hosts"]["ctl2"]["controllers"].update(heartbeat=written, inode=9)
    for report in (diagnosed(data), diagnosed(data, preflight=True)):
        (finding,) = report.findings
        assert (finding.id, finding.host) == ("state-not-shared", "ctl2")
        assert "StateSaveLocation (/state)" in finding.remedy
        assert "/state (inode 9)" in " ".join(finding.evidence)


def test_a_first_heartbeat_between_two_looks_is_no_reason() -> None:
    """A deployment right after the cluster was made stopped: one of two looks at the same directory came too early."""
    data = pair()
    data["hosts"]["ctl"]["controllers"]["heartbeat"] = None
    data["hosts"]["ctl2"]["facts"]["units"] = {"slurmctld": {"starting": True}}
    assert ids(diagnosed(data)) == []
    data["hosts"]["ctl"]["controllers"]["inode"] = 9
    assert ids(diagnosed(data)) == ["state-not-shared"]
    data["hosts"]["ctl"]["controllers"]["inode"] = 7
    data["hosts"]["ctl2"]["facts"]["units"]["slurmctld"]["starting"] = False
    assert ids(diagnosed(data)) == ["state-not-shared"]


def test_clocks_that_are_apart_are_no_reason() -> None:
    data = pair()
    data["hosts"]["ctl2"]["controllers"]["heartbeat"] = [0, NOW - 20]
    assert ids(diagnosed(data)) == []


def test_hosts_that_were_looked_at_by_an_older_toolkit_are_judged_without() -> None:
    assert "controllers" not in evidence()["hosts"]["node1"]
    assert ids(diagnosed(evidence())) == []


def test_a_key_at_a_place_of_its_own_is_no_difference() -> None:
    data = pair()
    entry = {"key": "authaltparameters", "value": "x", "origin": "/etc/slurm/slurm.conf:9"}
    for name, host in data["hosts"].items():
        line = f"AuthAltParameters=jwt_key=/k/{'own' if name == 'ctl2' else 'key'}"
        if host["confs"]["slurm_conf"]:
            host["confs"]["slurm_conf"]["entries"].append({**entry, "line": line})
    assert "configuration-differs" not in ids(diagnosed(data))
    data["hosts"]["ctl2"]["confs"]["slurm_conf"]["entries"][-1]["line"] += ",jwks=/k/set.json"
    assert "configuration-differs" in ids(diagnosed(data))


def test_a_backup_loads_a_changed_key_by_a_restart() -> None:
    """A reconfigure goes to the one in charge."""
    for name, remedy in (("ctl", "`scontrol reconfigure`"), ("ctl2", "`systemctl restart slurmctld`")):
        data = pair()
        host = data["hosts"][name]
        host["processes"]["slurmctld"]["mapped"] = None
        host["keys"]["slurmctld"]["age"] = host["processes"]["slurmctld"]["age"] - 60
        (finding,) = [one for one in diagnosed(data).findings if one.id == "jwt-key-not-loaded"]
        assert (finding.host, finding.remedy) == (name, remedy)


@pytest.mark.parametrize(("silent", "kind"), [([], "normal"), (["ctl"], "takeover")])
def test_what_a_host_sees_of_the_controllers_is_judged_by_its_own_clock(silent: list[str], kind: str) -> None:
    seen = {"hosts": list(PAIR), "silent": silent, "heartbeat": [0, NOW - 4], "timeout": 120}
    found = {"seen": seen, "state": "/state", "heartbeat": [0, NOW - 4], "inode": 1}
    told = judged({"keys": {}, "controllers": found, "now": NOW})["controllers"]
    assert (told["standing"]["kind"], told["standing"]["age"]) == (kind, 4.0)
    assert {**told, "standing": None, "seen": seen} == {**found, "standing": None}
