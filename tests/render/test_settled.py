"""Whether a host needs nothing besides what is compared with its files, as the roles themselves say it in Ansible."""

from __future__ import annotations

import time
from typing import Any

import pytest
from slurmrest.transaction.left_out_hosts import CONTROLLERS, KEYS, REST

from tests.meta import tree
from tests.render.roles import evaluate
from tests.unit.transaction.test_left_out_hosts import KEY as LOADED_KEY

DIGEST = "d1"
KEY = "/var/lib/slurm/jwt/jwt_hs256.key"
RIGHT_KEY: dict[str, Any] = {**LOADED_KEY, "path": KEY}
CONF = {"exists": True, "ours": True, "path": "/etc/slurm/slurm.conf", "jwks": "", "jwt_key": KEY, "jwt_key_path": KEY}
FACTS: dict[str, Any] = {
    "digest": DIGEST,
    "slurm_conf": CONF,
    "slurmdbd_conf": {"exists": False, "ours": False, "jwks": "", "jwt_key": "", "jwt_key_path": ""},
    "slurmrestd": {"path": "/usr/sbin/slurmrestd"},
    "account": {"uid": 970},
    "units": {"slurmctld": {"active": "active"}},
}
FILES = "__slurm_conf_done | slurmrest.toolkit.conf_suffices(__slurm_conf_how, slurm_conf_state, group_names)"
SERVICE = "__slurmrestd_service_done | slurmrest.toolkit.service_suffices(group_names)"


def run(host: str = "ctl", key: dict[str, Any] = RIGHT_KEY, **more: Any) -> dict[str, Any]:
    """Variables of a host of a cluster that this toolkit wrote, in a run that has looked at it."""
    groups = {"slurmctld": ["ctl", "ctl2"], "slurmdbd": ["db"], "slurmrestd": ["rest", "ctl"]}
    evidence = {"sight": {"digest": DIGEST, "at": time.time()}, "keys": {"slurmctld": key}}
    seen = {"ansible_facts": {"slurmrest": FACTS}, "__slurm_common_evidence": evidence}
    return {
        "inventory_hostname": host,
        "groups": groups,
        "group_names": [name for name, hosts in groups.items() if host in hosts],
        "hostvars": {
            name: {**seen, "__slurm_conf_settled": {"seen": DIGEST}} for name in ("ctl", "ctl2", "db", "rest")
        },
        "slurm_conf_cluster_name": "one",
        "slurm_common_controllers": groups["slurmctld"],
        **{name: value for name, value in seen.items() if name != "ansible_facts"},
        **more,
    }


def key_settled(variables: dict[str, Any]) -> bool:
    return bool(evaluate("slurm_jwt_key", "__slurm_jwt_key_settled", variables, FACTS))


def test_a_key_that_was_seen_to_be_right_where_it_is_made() -> None:
    assert key_settled(run())


@pytest.mark.parametrize(
    "more",
    [
        {"host": "ctl2"},  # whose key has to be that of the controller that leads
        {"host": "db"},
        {"slurm_jwt_key_supplied": "files/key"},
        {"slurm_jwt_key_size": 16},
        {"slurm_common_controllers": []},
        {"slurm_common_jwt_key_path": "/etc/slurm/other.key"},
        {"slurm_common_slurm_user": "another"},
        {"__slurm_common_evidence": {}},
        *({"key": {**RIGHT_KEY, name: value}} for name, value in (("exists", False), ("readable", False))),
        *({"key": {**RIGHT_KEY, name: "x"}} for name in ("rotating", "error", "problems", "directory_problems")),
    ],
)
def test_a_key_that_is_to_be_looked_at(more: dict[str, Any]) -> None:
    assert not key_settled(run(**more))
    assert key_settled(run(**more, slurm_common_hs256=False)), "none is made where none is good"


@pytest.mark.parametrize("host", ["ctl", "ctl2", "db", "rest"])
@pytest.mark.parametrize(
    ("more", "groups"),
    [
        ({"slurm_conf_cluster_name": ""}, {}),
        ({"slurm_conf_mode": "merge"}, {}),
        ({"slurm_conf_mode": "assert"}, {}),
        ({"slurm_conf_state": "absent"}, {}),
        ({}, {"slurmrest_gateway": ["gw"]}),
    ],
)
def test_files_of_the_site_and_gateways_have_hosts_visited(
    host: str, more: dict[str, Any], groups: dict[str, Any]
) -> None:
    variables = run(host, __slurm_jwt_key_settled=True)
    assert evaluate("slurm_conf", FILES, variables, FACTS) is True
    variables["groups"].update(groups)
    variables["hostvars"]["gw"] = {}
    assert evaluate("slurm_conf", FILES, {**variables, **more}, FACTS) is False


@pytest.mark.parametrize(
    "more",
    [
        {"__slurm_jwt_key_settled": False},
        {},  # a playbook that does not have the role of the key
        {"__slurm_jwt_key_settled": True, "slurm_jwks_issuers": [{"name": "idp", "url": "https://idp.example.org"}]},
        {"__slurm_jwt_key_settled": True, "slurm_common_jwks_path": "/site/keys"},
    ],
)
def test_keys_have_controllers_visited(more: dict[str, Any]) -> None:
    """Also the set of issuers that are no more."""
    facts = {**FACTS, "slurm_conf": {**CONF, "jwks": "/site/keys"}}
    for host in ("ctl", "ctl2", "db"):
        assert evaluate("slurm_conf", FILES, run(host, **more), facts) is False
    assert evaluate("slurm_conf", FILES, run("rest", **more), facts) is True


SETTLED: dict[str, Any] = {"__slurm_packages_settled": True, "__slurmrestd_user_settled": True}


def test_a_rest_host_that_has_all_that_comes_before_its_service() -> None:
    assert evaluate("slurmrestd_service", SERVICE, run("rest", **SETTLED), FACTS) is True
    for name in SETTLED:
        assert evaluate("slurmrestd_service", SERVICE, run("rest", **{**SETTLED, name: False}), FACTS) is False
        others = {other: value for other, value in SETTLED.items() if other != name}
        assert evaluate("slurmrestd_service", SERVICE, run("rest", **others), FACTS) is False


@pytest.mark.parametrize("conf", [{}, {"seen": ""}, {"seen": "d0"}, {"skipped": True}])
def test_slurm_conf_comes_before_the_service_where_the_host_accepts_no_tokens(conf: dict[str, Any]) -> None:
    for host in ("rest", "ctl"):
        variables = run(host, **SETTLED)
        variables["hostvars"][host]["__slurm_conf_settled"] = conf
        assert evaluate("slurmrestd_service", SERVICE, variables, FACTS) is (host == "ctl")


def test_an_account_that_was_judged_and_is_there() -> None:
    for judged, uid, manage, settled in (
        (DIGEST, 970, True, True),
        (DIGEST, None, False, True),
        (DIGEST, None, True, False),
        ("d0", 970, True, False),
    ):
        variables = run("rest", __slurmrestd_user_judgement={"judged": judged}, slurmrestd_user_manage=manage)
        facts = {**FACTS, "account": {"uid": uid}}
        assert evaluate("slurmrestd_user", "__slurmrestd_user_settled", variables, facts) is settled
    assert evaluate("slurmrestd_user", "__slurmrestd_user_settled", run("rest"), FACTS) is False


def test_all_hosts_of_a_play_were_seen_to_have_the_files() -> None:
    play: dict[str, Any] = {"ansible_play_hosts": ["ctl", "ctl2"]}
    for first, second, seen in ((DIGEST, DIGEST, True), (DIGEST, "", False), ("d0", DIGEST, False)):
        variables = run("ctl", **play)
        variables["hostvars"]["ctl"]["__slurm_conf_foreseen_whole"] = {"seen": first}
        variables["hostvars"]["ctl2"]["__slurm_conf_foreseen_whole"] = {"seen": second}
        assert evaluate("slurm_conf", "__slurm_conf_seen", variables, FACTS) is seen
    assert evaluate("slurm_conf", "__slurm_conf_seen", run("ctl", **play), FACTS) is False


def roles_of(tasks: str) -> list[str]:
    """The roles of a playbook's tasks, in their order, each once."""
    listed = tree.load(tree.ROOT / "playbooks" / "tasks" / f"{tasks}.yml")
    calls = [value for task in listed for name, value in task.items() if name.endswith(("import_role", "include_role"))]
    assert len(calls) == len(listed), "what is no role is not known to be settled"
    # What is looked at ahead changes nothing.
    return [call["name"].rpartition(".")[2] for call in calls if call.get("tasks_from") != "ahead"]


def test_the_engine_knows_the_roles_of_each_turn() -> None:
    """One that is added to a turn would be left out on hosts where all others have nothing to do."""
    assert roles_of("controllers") == list(CONTROLLERS)
    assert roles_of("rest") == list(REST)


def test_each_of_them_is_asked_about() -> None:
    asked = {
        role: tree.load(tree.ROOT / "roles" / role / "vars" / "main.yml")[f"__{role}_done"]
        for role in ("slurm_conf", "slurmrestd_service")
    }
    assert set(asked["slurm_conf"]) == {KEYS, *CONTROLLERS} - {"slurm_conf"}
    assert set(asked["slurmrestd_service"]) == set(REST) - {"slurmrestd_service"}
