"""The controller's part of the doctor: where it keeps what the hosts showed."""

from __future__ import annotations

import importlib
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from ansible.errors import AnsibleError

if TYPE_CHECKING:
    from pathlib import Path

doctor = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.action.slurm_doctor")


def test_a_report_is_its_owners_alone_and_no_link_is_written_through(tmp_path: Path) -> None:
    report, linked, other = tmp_path / "report.json", tmp_path / "link.json", tmp_path / "other"
    for path in (report, other):
        path.write_text("before")
        path.chmod(0o644)
    linked.symlink_to(other)
    for path in (report, linked):
        doctor._write(path, {"found": ["ä"]})
        assert json.loads(path.read_text()) == {"found": ["ä"]}
        assert path.lstat().st_mode & 0o777 == 0o600
    assert other.read_text() == "before"


def test_a_report_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(AnsibleError, match="cannot be written"):
        doctor._write(tmp_path / "none" / "report.json", {})


@pytest.mark.parametrize(
    ("registered", "planned"), [(None, False), ({"changed": False}, False), ({"changed": True}, True)]
)
def test_a_cluster_that_this_run_would_have_made(registered: Any, planned: bool) -> None:
    """Check mode of cluster.yml and deploy.yml in one run, as molecule plays it, was refused on a new host."""
    action = object.__new__(doctor.ActionModule)
    seen = {"evidence": json.dumps({"roles": ["slurmctld"]})}
    hostvars = {"node1": {"seen": seen, "written": registered}}
    action.variables = {"hostvars": hostvars, "ansible_play_hosts_all": ["node1"]}
    action._task = SimpleNamespace(args={})
    arguments = {"evidence": "seen", "answers": None, "gateways": None, "planned": "written"}
    assert action._evidence(arguments)[0]["node1"]["planned"] is planned
