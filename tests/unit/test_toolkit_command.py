"""The command line where libraries are missing, where it stands alone, and what it says it is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from slurmrest_toolkit import collection
from slurmrest_toolkit.command import main, version
from slurmrest_toolkit.support.errors import CannotRunError
from slurmrest_toolkit.support.tables import print_table

ROOT = Path(__file__).resolve().parents[2]
ALONE = {"PYTHONPATH": os.pathsep.join(map(str, (ROOT / "src", ROOT / "plugins" / "module_utils")))}
LIBRARIES = ("ansible", "yaml", "rich", "jinja2", "filelock", "platformdirs")


def alone(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command with nothing but the standard library."""
    argv = [sys.executable, "-S", "-m", "slurmrest_toolkit", *words]
    return subprocess.run(argv, env=ALONE, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "words", [["--help"], ["verify", "--help"], ["token", "--help"], ["submit", "--help"], ["job", "list", "--help"]]
)
def test_users_need_no_library(words: list[str]) -> None:
    done = alone(*words)
    assert done.returncode == 0, done.stderr
    assert "usage: slurmrest" in done.stdout


def test_clusters_say_which_library_is_missing_and_how_it_comes() -> None:
    done = alone("cluster", "up")
    assert (done.returncode, done.stdout) == (2, "")
    named = re.search(r"needs the library (\w+), which is not here\. Install it: pip install '(\S+)'", done.stderr)
    assert named
    assert named[1] in LIBRARIES
    assert named[2] == "WHEEL[cluster]"
    error = json.loads(alone("cluster", "up", "--json").stdout)["error"]
    assert (error["exit_code"], error["message"]) == (2, done.stderr.strip())


def test_clusters_say_which_python_they_need(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main, "NEWER", (9, 0))
    assert main.main(["cluster", "list"]) == 2
    assert "slurmrest cluster needs Python 9.0 or later; this is 3." in capsys.readouterr().err


def test_version_says_what_this_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(["--version"])
    assert caught.value.code == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"slurmrest \d+\.\d+\.\d+\S* \(clone(, commit [0-9a-f]+(, changed)?)?\)", first)
    assert second == f"collection: {ROOT}"
    assert re.fullmatch(r"Python 3\.\d+\.\S+, ansible-core 2\.\d+\.\S+", third)


def test_version_outside_a_clone_and_without_ansible(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(collection, "is_clone", lambda: False)
    monkeypatch.setattr(collection, "ROOT", tmp_path)
    monkeypatch.setattr(version, "LIBRARY", "no-such-library")
    assert version.describe().splitlines()[0] == "slurmrest unknown"
    assert version.describe().endswith(", no no-such-library\n")


def test_a_collection_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert collection.ensure() == ROOT
    monkeypatch.setattr(collection, "ROOT", tmp_path)
    with pytest.raises(CannotRunError, match=re.escape(f"no playbooks in {tmp_path}")):
        collection.ensure()


def test_tables_have_a_row_on_a_line_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NAME", "WHERE"), [("a", "x" * 300), ("[b]", "y")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["NAME", "WHERE"], ["a", "x" * 300], ["[b]", "y"]]
