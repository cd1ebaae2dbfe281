"""The controller's part of the doctor: where it keeps what the hosts showed."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING

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
