"""Files and daemons of others are told apart before anything changes, and daemons renewed in Slurm's order."""

from __future__ import annotations

from typing import Any

import pytest

from tests.render.roles import evaluate

OURS = {"exists": True, "ours": True, "path": "/etc/slurm/slurm.conf", "jwks": ""}
THEIRS = {**OURS, "ours": False}
NONE = {**OURS, "exists": False, "ours": False}


def facts(conf: dict[str, Any], dbd: dict[str, Any]) -> dict[str, Any]:
    return {"slurm_conf": conf, "slurmdbd_conf": {**dbd, "path": "/etc/slurm/slurmdbd.conf"}, "release": None}


@pytest.mark.parametrize(
    ("components", "conf", "dbd", "refused"),
    [
        (["slurmctld", "slurmdbd"], OURS, OURS, ""),
        (["slurmctld", "slurmdbd"], NONE, NONE, ""),
        (["slurmctld"], THEIRS, NONE, "slurm.conf"),
        # A slurmdbd that serves other clusters, too, in the group of one that this toolkit made.
        (["slurmdbd"], NONE, THEIRS, "slurmdbd.conf"),
        (["slurmctld"], OURS, THEIRS, ""),
    ],
)
def test_no_file_of_others_is_written_whole(
    components: list[str], conf: dict[str, Any], dbd: dict[str, Any], refused: str
) -> None:
    variables = {"slurm_conf_cluster_name": "one", "slurm_common_components": components}
    found = evaluate("slurm_conf", "__slurm_conf_not_whole", variables, facts(conf, dbd))
    assert len(found) == bool(refused)
    assert f"/etc/slurm/{refused} was not written by this toolkit" in " ".join(found) or not refused


@pytest.mark.parametrize("component", ["slurmctld", "slurmd", "slurmrestd"])
def test_a_node_of_another_cluster_is_refused_before_it_gets_keys(component: str) -> None:
    variables = {"slurm_common_components": [component], "slurm_common_allow_controller_restart": False}
    known = facts(THEIRS, NONE)
    expected = [] if component == "slurmrestd" else ["/etc/slurm/slurm.conf"]
    assert evaluate("slurm_cluster", "__slurm_cluster_foreign", variables, known) == expected
    consent = {**variables, "slurm_common_allow_controller_restart": True}
    assert evaluate("slurm_cluster", "__slurm_cluster_foreign", consent, known) == []


def test_daemons_are_renewed_one_after_the_other() -> None:
    variables = {
        "slurm_common_controllers": ["ctl1", "ctl2"],
        "groups": {"slurmdbd": ["db"], "slurmctld": ["ctl1", "ctl2"]},
        "ansible_play_hosts": ["ctl2", "ctl1", "db", "rest"],
    }
    turns = evaluate("slurm_packages", "__slurm_packages_turns", variables, {})
    assert turns == [["slurmdbd", "db"], ["slurmctld", "ctl1"], ["slurmctld", "ctl2"], ["slurmd", ""]]


@pytest.mark.parametrize(
    ("instance", "path", "record"),
    [("", "", "slurmrestd_service"), ("beta", "", "slurmrestd_service-beta"), ("", "/usr/sbin/slurmrestd", "")],
)
def test_what_is_installed_is_remembered_with_the_service_that_needs_it(instance: str, path: str, record: str) -> None:
    variables = {"slurm_packages_components": ["slurmrestd"], "__slurm_common_instance": instance}
    found = evaluate("slurm_packages", "__slurm_packages_record", variables, {"slurmrestd": {"path": path or None}})
    assert found == record


@pytest.mark.parametrize(
    ("said", "others"),
    [("", []), ("mysql performance_schema sys #rocksdb ", []), ("mysql slurm_acct_db shop sys ", ["shop"])],
)
def test_a_database_server_with_databases_of_others_is_told_apart(said: str, others: list[str]) -> None:
    variables = {"__slurm_cluster_found": {"stdout": said}}
    assert evaluate("slurm_cluster", "__slurm_cluster_databases", variables, {}) == others
    assert (
        evaluate("slurm_cluster", "__slurm_cluster_databases", {"__slurm_cluster_found": {"skipped": True}}, {}) == []
    )
