"""The variables that people set: those that the roles describe, and those of playbooks alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path


def roles(root: Path) -> list[Path]:
    """Return the folders of the roles, by name."""
    return sorted(path.parent.parent for path in root.glob("roles/*/meta/argument_specs.yml"))


def specs(role: Path) -> dict[str, Any]:
    """Return the argument specs of a role by entry point, ``main`` first."""
    found: dict[str, Any] = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    return dict(sorted(found.items(), key=lambda item: (item[0] != "main", item[0])))


def names_module(root: Path) -> str:
    """Return the module with the names of all variables that people set: of roles, and of playbooks alone."""
    names = {name for role in roles(root) for spec in specs(role).values() for name in spec.get("options") or {}}
    for playbook in root.glob("playbooks/**/*.yml"):
        names.update(re.findall(r"\bslurmrest_[a-z_]+\b", playbook.read_text()))
    names -= {role.name for role in roles(root)}  # as they are written in the same places
    lines = "".join(f'        "{name}",\n' for name in sorted(names))
    return f'''"""Names of the variables that people set. Made by scripts/render_docs.py; edit its sources instead."""

from __future__ import annotations

NAMES = frozenset(
    (
{lines}    )
)
'''
