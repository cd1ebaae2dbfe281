"""The contract of the engine's rooms: it holds, and it can fail."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta import tree

LINTER = Path(sys.executable).with_name("lint-imports")


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """A copy of the engine that may be spoilt."""
    copy = tmp_path / "slurmrest"
    shutil.copytree(tree.ENGINE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def verdict(engine: Path) -> subprocess.CompletedProcess[str]:
    """Return what import-linter says of an engine by the contract of this repository."""
    return subprocess.run(
        [str(LINTER), "--no-cache", "--config", str(tree.ROOT / "pyproject.toml")],
        cwd=engine.parent,
        env={**os.environ, "PYTHONPATH": str(engine.parent), "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_contract_holds(engine: Path) -> None:
    done = verdict(engine)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        ("errors.py", "from .verify.run import verify", "slurmrest.errors is not allowed to import slurmrest.verify"),
        ("slurm/releases.py", "from ..rest import client", "slurmrest.slurm is not allowed to import slurmrest.rest"),
        ("doctor/model.py", "from ..users import batch", "slurmrest.doctor is not allowed to import slurmrest.users"),
    ],
)
def test_an_arrow_upward_or_to_a_neighbour_breaks_it(engine: Path, file: str, line: str, said: str) -> None:
    with (engine / file).open("a") as stream:
        stream.write(f"\n{line}\n")
    done = verdict(engine)
    assert done.returncode == 1, done.stdout + done.stderr
    assert said in done.stdout


def test_a_room_without_a_floor_breaks_it(engine: Path) -> None:
    (engine / "attic.py").write_text("")
    done = verdict(engine)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "attic" in done.stdout


@pytest.mark.parametrize("path", sorted(tree.ENGINE.glob("**/__init__.py")), ids=lambda path: path.parent.name)
def test_a_room_opens_with_words_only(path: Path) -> None:
    """Whoever imports one file of a room would import, and ship, what its __init__ imports."""
    words, *statements = ast.parse(path.read_text()).body
    assert isinstance(words, ast.Expr)
    assert [ast.unparse(one) for one in statements] in ([], ["from __future__ import annotations"])


def test_a_class_has_a_name_of_its_own() -> None:
    """One name, one thing: whoever reads ``Report`` somewhere knows which."""
    places: dict[str, list[str]] = {}
    for path in sorted(tree.ENGINE.glob("**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(str(path.relative_to(tree.ENGINE)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
