"""The lookup by which roles render: Ansible's own is given variables that it does not copy."""

from __future__ import annotations

import copy
import importlib
from typing import Any

import pytest

rendered = importlib.import_module("ansible_collections.slurmrest.toolkit.plugins.lookup.rendered")


def test_what_variables_hold_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[str], Any, dict[str, Any]]] = []

    def run(_self: object, terms: list[str], variables: Any = None, **options: Any) -> list[str]:
        seen.append((terms, copy.deepcopy(variables), options))
        return ["text"]

    monkeypatch.setattr(rendered.TemplateLookup, "run", run)
    variables = {"facts": {"a": [1]}, "name": "n"}
    lookup = object.__new__(rendered.LookupModule)
    assert lookup.run(["one.j2"], variables, template_vars={"more": 1}) == ["text"]
    ((terms, copied, options),) = seen
    assert (terms, copied, options) == (["one.j2"], variables, {"template_vars": {"more": 1}})
    assert copied["facts"] is variables["facts"]
    copied["more"] = 1  # as Ansible's own does
    assert "more" not in variables
