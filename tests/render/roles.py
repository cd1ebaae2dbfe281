"""Render a role's files as Ansible does, in this process and without a host."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template

init_plugin_loader()
ROLES = Path(__file__).resolve().parents[2] / "roles"


@cache
def _loaded(path: Path) -> dict[str, Any]:
    return DataLoader().load_from_file(str(path), trusted_as_template=True) or {} if path.exists() else {}


def evaluate(role: str, expression: str, variables: dict[str, Any], facts: dict[str, Any]) -> Any:
    """Return what ``expression`` means inside ``role``, with slurm_common below it as its dependency."""
    known: dict[str, Any] = {"group_names": [], "groups": {}}
    for name in ("slurm_common", role):
        for folder in ("defaults", "vars"):
            known.update(_loaded(ROLES / name / folder / "main.yml"))
    known.update(variables)
    known["ansible_facts"] = {"slurmrest": facts}
    known["ansible_search_path"] = [str(ROLES / role)]
    known["role_path"] = str(ROLES / role)
    return Templar(loader=DataLoader(), variables=known).template(trust_as_template("{{ " + expression + " }}"))
