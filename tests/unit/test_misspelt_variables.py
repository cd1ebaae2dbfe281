"""Variables that are misspelt: whom Ansible does not tell."""

from __future__ import annotations

import importlib

import pytest
import yaml

from tests.real.clusters import ROOT

spelling = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.plugin_utils.spelling")
NAMES = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.plugin_utils.variable_names").NAMES


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("slurmrest_allow_controler_restart", "slurmrest_allow_controller_restart"),
        ("slurmrestd_service_listn", "slurmrestd_service_listen"),
        ("slurm_common_jwt_keypath", "slurm_common_jwt_key_path"),
        ("slurmrest_verify_job_users", "slurmrest_verify_job_user"),
    ],
)
def test_what_is_meant_is_said(typed: str, meant: str) -> None:
    (said,) = spelling.misspelt(["inventory_hostname", typed, meant])
    assert said.startswith(f"{typed}: ")
    assert meant in said


@pytest.mark.parametrize(
    "name", ["slurm_config", "slurm_nodes", "slurmrestd_verify", "slurm_evidence", "slurmrest_url"]
)
def test_names_of_others_are_theirs(name: str) -> None:
    assert list(spelling.misspelt([name])) == []


def test_every_variable_is_known() -> None:
    """Those of the roles by their specifications, those of playbooks by the playbooks themselves."""
    for role in ROOT.glob("roles/*/defaults/main.yml"):
        assert set(yaml.safe_load(role.read_text()) or {}) <= NAMES, role
    assert {"slurmrest_serial", "slurmrest_upgrade_accept", "slurmrest_doctor_request"} <= NAMES
    assert not {"slurmrest_gateway", "slurmrest_token", "slurmrestd_service"} & NAMES
    assert list(spelling.misspelt(NAMES)) == []
