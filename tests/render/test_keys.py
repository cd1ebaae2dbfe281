"""Which host's key a cluster takes: its primary controller's, or that of a slurmdbd that serves other clusters."""

from __future__ import annotations

from typing import Any

import pytest

from tests.render.roles import evaluate

KEY = "/var/lib/slurm/jwt/jwt_hs256.key"


@pytest.mark.parametrize(
    ("controller", "slurmdbd", "shared"),
    [("", "", ""), ("", KEY, KEY), (KEY, KEY, ""), (KEY, "", "")],
)
def test_a_cluster_without_a_key_takes_the_one_of_its_slurmdbd(controller: str, slurmdbd: str, shared: str) -> None:
    def facts(ctld: str, dbd: str) -> dict[str, Any]:
        return {"slurm_conf": {"jwt_key_path": ctld}, "slurmdbd_conf": {"jwt_key_path": dbd}}

    hosts = {
        "ctl": {"ansible_facts": {"slurmrest": facts(controller, "")}},
        "db": {"ansible_facts": {"slurmrest": facts("", slurmdbd)}},
    }
    known = {"groups": {"slurmctld": ["ctl"], "slurmdbd": ["db"]}, "hostvars": hosts}
    assert evaluate("slurm_jwt_key", "__slurm_jwt_key_shared", known, facts("", "")) == shared
    alone = {"groups": {"slurmctld": ["ctl"]}, "hostvars": hosts}
    assert evaluate("slurm_jwt_key", "__slurm_jwt_key_shared", alone, facts("", "")) == ""
