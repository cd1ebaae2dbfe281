"""scripts/build_pyz.py: one file that runs by itself, the same every time."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_pyz", ROOT / "scripts" / "build_pyz.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", name="file")
def the_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("pyz") / "slurmrest.pyz"
    script().build(target)
    return target


def run(file: Path, *words: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    argv = [python, "-I", "-S", str(file), *words]
    return subprocess.run(argv, env={"PATH": "/nonexistent"}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", ["verify", "token", "submit", "job", "doctor"])
def test_every_command_is_in_it(file: Path, command: str) -> None:
    done = run(file, command, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: slurmrest {command} ")


def test_it_runs_as_a_program(file: Path) -> None:
    assert file.read_bytes().startswith(b"#!/usr/bin/env python3\n")
    done = subprocess.run([file, "--version"], capture_output=True, text=True, check=True)
    assert re.match(r"slurmrest \d+\.\d+\.\d+\S* \(one file(, commit [0-9a-f]+(, changed)?)?\)\n", done.stdout)


@pytest.mark.parametrize("name", [f"python3.{minor}" for minor in range(9, 15)])
def test_every_python_that_is_here_runs_it(file: Path, name: str) -> None:
    # Asked for its path, for a name on PATH may be a program that looks for one; this very Python stands in for others.
    argv = [shutil.which(name) or sys.executable, "-c", "import sys; print(sys.executable)"]
    asked = subprocess.run(argv, capture_output=True, text=True, check=False)
    python = asked.stdout.strip() if asked.returncode == 0 else sys.executable
    refused = run(file, "verify", "--url", "http://127.0.0.1:1", python=python)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "there is no token" in refused.stderr


def test_clusters_are_not_in_it(file: Path) -> None:
    done = run(file, "cluster", "up")
    assert done.returncode == 2
    assert "pip install 'WHEEL[cluster]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_same_tree_makes_the_same_bytes(file: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.pyz"
    script().build(again)
    assert again.read_bytes() == file.read_bytes()


def test_it_holds_the_engine_and_nothing_that_needs_a_library(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
    engine = ROOT / "plugins" / "module_utils"
    assert {str(path.relative_to(engine)) for path in engine.rglob("*.py")} <= set(names)
    assert [name for name in names if "/command/cluster/" in name or "/clusters/" in name] == []
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ["slurmrest.pyz", "verify_slurmrestd.py", "slurmrest_user.py"])
def test_a_python_that_is_too_old_is_answered_in_a_sentence(name: str) -> None:
    text = script().MAIN if name.endswith("pyz") else (ROOT / "scripts" / name).read_text(encoding="utf-8")
    ast.parse(text, feature_version=(3, 6))
    before = "import sys\nsys.version_info = (3, 6, 8)\n"
    done = subprocess.run([sys.executable, "-c", before + text], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(r"\w+ needs? Python 3\.9 or later; \w+( it)? is 3\.6\.\n", done.stderr)
