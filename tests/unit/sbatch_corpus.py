"""Scripts, what ``sbatch -v --test-only`` said of them, and our reading in its words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from slurmrest.rest.payloads import UNLIMITED

CORPUS: dict[str, Any] = json.loads((Path(__file__).parent / "corpus" / "sbatch" / "scripts.json").read_text())
"""Each script with sbatch 24.11.5's defined options, or why it refused.

``here: refused`` marks those that sbatch takes and this does not.
"""
_DEFINED = re.compile(r"sbatch: ([a-z-]+) +: (.*)\Z")
_OTHERS = frozenset(["test-only", "verbose"])


def as_sbatch_says(options: dict[str, Any]) -> dict[str, str]:
    """Options that were read here, in the words of sbatch's list of defined options."""

    def words(name: str, value: Any) -> str:
        if value is True:
            return "set"
        if name == "exclusive":
            return value or "exclusive"
        if name in ("mem", "mem-per-cpu"):
            return f"{value // 1024}G" if value % 1024 == 0 else str(value)
        if name == "time":
            return "UNLIMITED" if value == UNLIMITED else f"{value // 60:02}:{value % 60:02}:00"
        return str(value)

    return {name: words(name, value) for name, value in ((key.replace("_", "-"), options[key]) for key in options)}


def defined(said: str, directory: str) -> dict[str, str] | None:
    """The defined options in what ``sbatch -v --test-only`` printed in a directory; None where it refused."""
    if "end of defined options" not in said:
        return None
    found = filter(None, map(_DEFINED.match, said.splitlines()))
    return {one[1]: one[2].removeprefix(f"{directory}/") for one in found if one[1] not in _OTHERS}
