"""How long files and functions are: none grows beyond what one keeps in mind, and those that are longer only shrink."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.meta import tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FOLDERS = ("plugins", "src", "scripts")
FILE, FUNCTION = 400, 40
"""Lines of a file, and of a function without its docstring."""

FILES = {
    "plugins/module_utils/slurmrest/doctor/rules_cluster.py": 658,
    "plugins/module_utils/slurmrest/doctor/rules_keys.py": 456,
    "plugins/module_utils/slurmrest/doctor/rules_service.py": 522,
    "plugins/module_utils/slurmrest/rotation/order.py": 482,
    "plugins/module_utils/slurmrest/slurm/releases.py": 640,
    "plugins/module_utils/slurmrest/slurmrestd/preflight.py": 657,
    "plugins/module_utils/slurmrest/transaction/restart_obstacles.py": 456,
    "plugins/module_utils/slurmrest/upgrade/judge.py": 631,
    "plugins/module_utils/slurmrest/users/batch.py": 496,
    "plugins/module_utils/slurmrest/users/command.py": 577,
    "scripts/render_docs.py": 409,
}
"""Longer files with the most that they may have. The release table grows by its rows; the others are to be cut."""

FUNCTIONS = {
    "plugins/module_utils/slurmrest/facts/host.py:look": 56,
    "plugins/module_utils/slurmrest/gateway/settings.py:settle": 41,
    "plugins/module_utils/slurmrest/transaction/restart_evidence.py:gather": 43,
    "plugins/module_utils/slurmrest/transaction/transaction.py:_execute": 42,
    "plugins/module_utils/slurmrest/users/command.py:add_token_command": 42,
    "plugins/module_utils/slurmrest/verify/command.py:add_arguments": 106,
    "plugins/module_utils/slurmrest/verify/formats.py:render_prometheus": 43,
    "plugins/module_utils/slurmrest/verify/jobs.py:completed_job": 56,
    "plugins/modules/key_rotation.py:main": 46,
    "src/slurmrest_toolkit/api.py:start": 49,
    "src/slurmrest_toolkit/command/cluster/up.py:add_command": 53,
    "src/slurmrest_toolkit/pytest_plugin/sharing.py:shared": 43,
}
"""The same of functions."""


def lengths(root: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Lines of the files that are too long, and of such functions, below the folders."""
    files, functions = {}, {}
    for path in sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py")):
        text, name = path.read_text(encoding="utf-8"), path.relative_to(root).as_posix()
        if text.count("\n") > FILE:
            files[name] = text.count("\n")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                words = (ast.get_docstring(node, clean=False) or "").splitlines()
                lines = (node.end_lineno or node.lineno) - node.lineno + 1 - len(words)
                if lines > FUNCTION:
                    functions[f"{name}:{node.name}"] = lines
    return files, functions


def longer(found: Mapping[str, int], allowed: Mapping[str, int]) -> list[str]:
    """What is longer than it may be, and what is allowed and no longer needs it."""
    grown = [f"{name}: {lines} lines" for name, lines in found.items() if lines > allowed.get(name, 0)]
    return grown + [f"{name}: take it out of the list" for name in allowed if name not in found]


def test_files_and_functions_grow_no_longer() -> None:
    files, functions = lengths(tree.ROOT)
    assert longer(files, FILES) == []
    assert longer(functions, FUNCTIONS) == []


def test_it_can_fail(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "long.py").write_text("def f():\n" + "    f()\n" * FILE)
    files, functions = lengths(tmp_path)
    assert longer(files, {}) == ["plugins/long.py: 401 lines"]
    assert longer(functions, {"plugins/long.py:f": 400}) == ["plugins/long.py:f: 401 lines"]
    assert longer({}, {"gone.py": 500}) == ["gone.py: take it out of the list"]
