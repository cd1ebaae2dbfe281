"""The files of this repository as the rules see them."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "plugins" / "module_utils" / "slurmrest"
ROLES = sorted(path for path in ROOT.glob("roles/*") if path.is_dir())
MODULES = sorted(ROOT.glob("plugins/modules/*.py"))
CORPUS, PICTURES = "tests/unit/corpus/", ".png"
"""Files that tests read as a host would hold them, and pictures: bytes of any kind, no text of this repository."""


@cache
def files() -> tuple[str, ...]:
    """Return the paths, relative to the root, of all files that are or could be committed."""
    # Whoever owns the clone, listing its files runs nothing from it.
    git = ["git", "-c", "safe.directory=*", "-C", str(ROOT)]
    listed = [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\0")
    ours = (name for name in names if not name.startswith(CORPUS) and not name.endswith(PICTURES))
    return tuple(sorted(name for name in ours if name and (ROOT / name).is_file()))


def matches(pattern: str, names: Iterator[str] | tuple[str, ...]) -> list[str]:
    """Return "path:line: text" of every line that the regular expression matches, case ignored."""
    expression = re.compile(pattern, re.IGNORECASE)
    found = []
    for name in names:
        for number, line in enumerate((ROOT / name).read_text(encoding="utf-8").splitlines(), 1):
            if expression.search(line):
                found.append(f"{name}:{number}: {line.strip()}")
    return found


def load(path: Path) -> Any:
    """Return the content of a YAML file; an empty one is an empty dictionary."""
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
