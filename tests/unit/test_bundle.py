"""The program for a host: complete, the same each time, and it runs where nothing of this clone is on the path."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from slurmrest import bundle as bundling
from slurmrest.bundle import bundle, interpreter
from slurmrest.errors import InputError

from tests.meta import tree

if TYPE_CHECKING:
    from pathlib import Path


def test_the_program_runs_by_itself(tmp_path: Path) -> None:
    program = tmp_path / "jwks.pyz"
    program.write_bytes(bundle("jwks.command"))
    command = [sys.executable, "-I", str(program)]
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True, cwd="/")
    assert "refresh this host's key set" in " ".join(shown.stdout.split())
    failed = subprocess.run([*command, "/nowhere"], capture_output=True, text=True, check=False, cwd="/")
    assert failed.returncode == 1
    assert failed.stderr.startswith("/nowhere cannot be read")


def test_the_program_has_what_it_imports_and_no_more() -> None:
    assert bundle("jwks.command") == bundle("jwks.command")
    with zipfile.ZipFile(BytesIO(bundle("errors"))) as archive:
        names = ["__main__.py", "slurmrest/__init__.py", "slurmrest/errors.py", "slurmrest/redaction.py"]
        assert sorted(archive.namelist()) == names


def test_a_module_of_a_package_runs_by_itself(tmp_path: Path) -> None:
    program = tmp_path / "fetch.pyz"
    program.write_bytes(bundle("service_token.fetch"))
    with zipfile.ZipFile(program) as archive:
        names = archive.namelist()
    assert {"slurmrest/service_token/__init__.py", "slurmrest/errors.py"} <= set(names)
    assert "slurmrest/service_token/hosts.py" not in names, "nobody imports it"
    shown = subprocess.run(
        [sys.executable, "-I", str(program), "--help"], capture_output=True, text=True, check=False, cwd="/"
    )
    assert "Traceback" not in shown.stderr


def test_an_action_plugin_makes_the_same_program() -> None:
    """Ansible's loader of collections has other types than those of Python."""
    here = "ansible_collections.slurmrest.toolkit.plugins.module_utils.slurmrest.bundle"
    program = "import importlib, sys; sys.stdout.buffer.write(importlib.import_module(sys.argv[1]).bundle(sys.argv[2]))"
    start = "from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder as Finder; "
    found = f"{start} Finder([{str(tree.ROOT / 'collections')!r}])._install(); "
    done = subprocess.run(
        [sys.executable, "-c", found + program, here, "service_token.fetch"], capture_output=True, check=True
    )
    assert done.stderr == b""
    assert done.stdout == bundle("service_token.fetch")


def test_what_an_import_does_not_find_ends_the_making(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("room/__init__.py", ""), ("room/first.py", "from ..nowhere import x\n"), ("__init__.py", "")):
        path = tmp_path / "house" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(bundling, "__package__", "house")
    with pytest.raises(InputError, match="entry: 'nowhere'"):
        bundle("room.first")


def test_the_interpreter_has_a_name_that_lasts(tmp_path: Path) -> None:
    (tmp_path / "python3").symlink_to(sys.executable)
    (tmp_path / "other").write_text("")
    assert interpreter(str(tmp_path / "python3")) == str(tmp_path / "python3")
    assert interpreter(str(tmp_path / "other")) == sys.executable
    assert interpreter(str(tmp_path / "nothing")) == sys.executable


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="entry: 'nothing'"):
        bundle("nothing")
