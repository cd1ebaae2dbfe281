"""The picture of the house: scripts/render_architecture.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts import render_architecture as architecture

if TYPE_CHECKING:
    from pathlib import Path

CONTRACT = """
[[tool.importlinter.contracts]]
name = "rooms"
type = "layers"
containers = ["slurmrest"]
layers = ["top | beside", "middle", "bottom"]
"""


class Tree:
    """A small engine: two features beside each other, a package below them, and a file at the bottom."""

    def __init__(self, root: Path) -> None:
        """Write it where the script looks for it."""
        self.root = root
        self.write("pyproject.toml", "[tool]\n")
        self.engine("__init__.py", '"""The engine."""\n')
        self.engine("bottom.py", '"""Errors."""\n')
        self.engine("middle/__init__.py", '"""The middle."""\n')
        self.engine("middle/first.py", "from ..bottom import ERROR\n")
        self.engine("middle/second.py", "from . import first\n")
        self.engine("top.py", '"""A feature."""\nfrom .middle import first, second\n')
        self.engine("beside.py", '"""Another."""\ndef late():\n    from .middle.second import late\n')
        self.write("plugins/modules/one.py", "from ..module_utils.slurmrest.top import run\n")
        self.write("src/slurmrest_toolkit/two.py", "from slurmrest import beside\nfrom slurmrest.middle import first\n")

    def engine(self, name: str, text: str) -> None:
        """Write a file of the engine."""
        self.write(str(architecture.ENGINE / name), text)

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def rooms(self) -> architecture.Graph:
        """Return the rooms."""
        return architecture.rooms(architecture.files(self.root))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_arrows_are_imports_wherever_they_stand(tree: Tree) -> None:
    assert architecture.files(tree.root) == {
        "bottom": set(),
        "middle.first": {"bottom"},
        "middle.second": {"middle.first"},
        "top": {"middle.first", "middle.second"},
        "beside": {"middle.second"},
    }
    assert tree.rooms() == {"bottom": set(), "middle": {"bottom"}, "top": {"middle"}, "beside": {"middle"}}
    assert architecture.entries(tree.root) == {
        "plugins/modules": {"top"},
        "src/slurmrest_toolkit": {"beside", "middle"},
    }


def test_numbers(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    assert architecture.main(["--root", str(tree.root)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "rooms    4 on  3 floors,   3 arrows, 0 circles",
        "files    5 on  4 floors,   5 arrows, 0 circles",
        "arrows upward: no floors are declared",
    ]


def test_a_circle_is_found_and_named(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    tree.engine("middle/first.py", "from ..top import run\n")
    assert architecture.main(["--root", str(tree.root)]) == 1
    assert "circle: middle top" in capsys.readouterr().out


def test_an_arrow_upward_is_found_and_named(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    tree.write("pyproject.toml", CONTRACT)
    assert architecture.main(["--root", str(tree.root)]) == 0
    tree.engine("bottom.py", "from .middle import third\n")
    tree.engine("middle/third.py", "")
    tree.engine("top.py", "from .beside import late\n")
    assert architecture.main(["--root", str(tree.root)]) == 1
    assert capsys.readouterr().out.splitlines()[-3:] == ["arrows upward: 2", "bottom -> middle", "top -> beside"]


def test_an_import_that_leads_nowhere_is_named(tree: Tree) -> None:
    tree.engine("top.py", "\nfrom .midle import first\n")
    with pytest.raises(architecture.UnknownImportError, match=r"top\.py:2: there is no 'midle'"):
        architecture.files(tree.root)


def test_picture(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    tree.engine("top.py", '"""A feature."""\nfrom .bottom import ERROR\nfrom .middle import first\n')
    assert architecture.main(["--picture", "--root", str(tree.root)]) == 0
    shown = capsys.readouterr().out
    assert "4 rooms on 3 floors, 4 arrows, 0 circles." in shown
    assert "room_top --> room_middle" in shown
    assert "room_top --> room_bottom" not in shown, "the way over the middle implies it"
    assert "room_plugins_modules --> room_top" in shown
    assert "| `middle` | The middle. | bottom |" in shown


def test_this_tree_can_be_drawn() -> None:
    assert set(architecture.entries(architecture.ROOT)) >= {"plugins/modules", "plugins/action", "plugins/filter"}
    assert "errors" in architecture.rooms(architecture.files(architecture.ROOT))
