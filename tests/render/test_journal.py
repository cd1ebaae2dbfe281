"""What modules tell the journal of the host where they run, and what Ansible keeps of their parameters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.meta import tree

if TYPE_CHECKING:
    from pathlib import Path

JOURNAL = """
import os

sendv = None

def send(**fields):
    with open(os.environ["TOLD"], "a") as file:
        file.write("%r\\n" % fields)
"""
FILES = [
    {"path": "/nonexistent/secret", "mode": "0644", "secret_content": "# one\nStoragePass=correct-horse\n"},
    {"path": "/nonexistent/few", "mode": "0640", "content": "A=b\nPORTAL_PASSWORD=battery-staple\n"},
    {"path": "/nonexistent/all", "mode": "0644", "content": "A=b\nC=hay-wire\n"},
]
SECRETS = ("correct-horse", "battery-staple", "hay-wire")


def told(directory: Path) -> tuple[str, str]:
    """Look at each file in a task of its own; returns the journal of the host, and Ansible's output with -vvv."""
    fake = directory / "systemd"
    fake.mkdir()
    (fake / "__init__.py").touch()
    (fake / "journal.py").write_text(JOURNAL)
    (fake / "daemon.py").write_text("def booted():\n    return True\n")
    tasks = [
        {"name": file["path"], "slurmrest.toolkit.host_transaction": {"name": "one", "files": [file]}} for file in FILES
    ]
    play = {"name": "Tell", "hosts": "all", "gather_facts": False, "tasks": tasks}
    (directory / "play.yml").write_text(json.dumps([play]))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ansible", "playbook"),
            *("--inventory=here,", "--connection=local", "--check", "-vvv"),
            f"--extra-vars=ansible_python_interpreter={sys.executable}",
            f"{directory}/play.yml",
        ],
        cwd=tree.ROOT,
        env={**os.environ, "PYTHONPATH": str(directory), "TOLD": f"{directory}/told", "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return (directory / "told").read_text(), done.stdout


def test_what_a_file_for_few_holds_is_neither_in_the_journal_nor_in_the_result(tmp_path: Path) -> None:
    """Ansible takes parameters with ``no_log`` out of what it tells the journal, but no texts of several lines."""
    for text in told(tmp_path):
        assert [secret for secret in SECRETS if secret in text] == ["hay-wire"]
