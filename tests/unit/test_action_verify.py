"""The controller's part of the verification: where it keeps what a host hands over."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pytest
from ansible.errors import AnsibleError

if TYPE_CHECKING:
    from pathlib import Path

verify = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.action.slurmrestd_verify")


def test_a_hosts_documents_have_names_of_ours(tmp_path: Path) -> None:
    (tmp_path / "reports" / "node1.").mkdir(parents=True)
    documents = {"html": "<html>", "xml": "<xml/>", "/../../elsewhere": "theirs"}
    verify._keep(tmp_path / "reports", "node1", documents)
    assert not (tmp_path / "elsewhere").exists()
    assert {path.name for path in (tmp_path / "reports").iterdir() if path.is_file()} == {"node1.html", "node1.xml"}


def test_a_host_that_hands_over_less(tmp_path: Path) -> None:
    with pytest.raises(AnsibleError, match="report_directory"):
        verify._keep(tmp_path, "node1", {"html": "<html>"})
