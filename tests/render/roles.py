"""Render a role's files as Ansible does, in this process and without a host."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template

if TYPE_CHECKING:
    from types import CodeType

# What was imported of the collection before, as plain Python does it, has no metadata, and Ansible asks for that.
for _name in [name for name in sys.modules if name.partition(".")[0] == "ansible_collections"]:
    del sys.modules[_name]
init_plugin_loader()
ROLES = Path(__file__).resolve().parents[2] / "roles"

_compile = jinja2.Environment.compile
_compiled: dict[tuple[Any, str], CodeType] = {}


def _compile_once(self: jinja2.Environment, source: Any, *arguments: Any, **options: Any) -> Any:
    """Compile an expression the first time it is met: Ansible does so at each use, and most of a rendering was that.

    One with a backslash is left to it: that means something else in a variable than in a file.
    """
    if arguments or options or not isinstance(source, str) or "\\" in source:
        return _compile(self, source, *arguments, **options)
    key = (self.lexer, str(source))  # a lexer is shared by the environments of equal settings
    if key not in _compiled:
        _compiled[key] = _compile(self, source)
    return _compiled[key]


jinja2.Environment.compile = _compile_once  # type: ignore[method-assign]


@cache
def _loaded(path: Path) -> dict[str, Any]:
    return DataLoader().load_from_file(str(path), trusted_as_template=True) or {} if path.exists() else {}


_GIVEN = "{{ __slurmrestd_service_directories | select('match', '^(/var)?/run/.') | list }}"
"""The preflight's answer on a host where nobody else has these directories."""


@cache
def _evaluated(role: str, expression: str, inputs: str) -> Any:
    known: dict[str, Any] = {"group_names": [], "groups": {}}
    for name in ("slurm_common", role):
        for folder in ("defaults", "vars"):
            known.update(_loaded(ROLES / name / folder / "main.yml"))
    known["__slurmrestd_service_judgement"] = {"given": trust_as_template(_GIVEN)}
    variables, facts = json.loads(inputs)
    known.update(variables)
    known["ansible_facts"] = {"slurmrest": facts}
    known["ansible_search_path"] = [str(ROLES / role)]
    known["role_path"] = str(ROLES / role)
    return Templar(loader=DataLoader(), variables=known).template(trust_as_template("{{ " + expression + " }}"))


def evaluate(role: str, expression: str, variables: dict[str, Any], facts: dict[str, Any]) -> Any:
    """Return what ``expression`` means inside ``role``, with slurm_common below it as its dependency.

    The same question is answered once; a test that changes the answer spoils it for the others.
    """
    return _evaluated(role, expression, json.dumps([variables, facts]))
