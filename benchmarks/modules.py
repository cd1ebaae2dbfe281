"""What each Ansible module costs a host before it does anything: the bytes that it brings along, and to read them."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

from benchmarks.commands import script
from scripts import render_architecture

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from slurmrest_toolkit.containers.engine import Engine

TIMES = 5
"""How often each is read."""


def costs(engine: Engine, node: str, roots: Mapping[str, Path]) -> dict[str, dict[str, Mapping[str, float]]]:
    """Return by module, for each checkout that has it, ``kilobytes`` of the engine and ``milliseconds`` on the node.

    The milliseconds are processor time, the median of some, for a Python to import what the module does, out of such an
    archive as Ansible sends; what a Python takes that imports nothing is left out.
    """
    asked = [packed(root) for root in roots.values()]
    answer = engine.execute(node, "python3", "-I", "-c", script("modules_on_host.py"), text=json.dumps([TIMES, asked]))
    spent: list[dict[str, float]] = json.loads(answer)
    found: dict[str, dict[str, Mapping[str, float]]] = {}
    for side, modules, milliseconds in zip(roots, asked, spent, strict=True):
        for name, module in modules.items():
            found.setdefault(name, {})[side] = {"kilobytes": module["kilobytes"], "milliseconds": milliseconds[name]}
    return found


def packed(root: Path) -> dict[str, dict[str, Any]]:
    """Return by module the ``archive`` (ZIP, base64) that it ships, its ``kilobytes``, and the ``names`` it imports."""
    known = render_architecture.modules(root / render_architecture.ENGINE)
    found = {}
    for module, sizes in render_architecture.shipped(root).items():
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            for name in sizes:
                path = known["" if name == "slurmrest" else name].path
                file.write(path, path.relative_to((root / render_architecture.ENGINE).parent))
        entry = root / render_architecture.ENTRIES[0] / f"{module}.py"
        names = sorted(f"slurmrest.{name}" for name in render_architecture.imports(entry, None, known) if name)
        text = base64.b64encode(archive.getvalue()).decode("ascii")
        found[module] = {"archive": text, "kilobytes": sum(sizes.values()) / 1000, "names": names}
    return found
