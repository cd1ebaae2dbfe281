"""That each filter is documented as it is, where ``ansible-doc -t filter`` looks."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.meta import tree

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = tree.ROOT / "plugins" / "filter"


def filters() -> dict[str, Callable[..., Any]]:
    """Return all of them by name; imported when they are tested, since Ansible's own importer may come meanwhile."""
    names = [
        f"ansible_collections.slurmrest.toolkit.plugins.filter.{path.stem}" for path in sorted(FOLDER.glob("*.py"))
    ]
    found: dict[str, Callable[..., Any]] = {}
    for name in names:
        found.update(importlib.import_module(name).FilterModule().filters())
    return found


def test_each_filter_has_a_page_and_each_page_a_filter() -> None:
    """Ansible finds a page by the name of the filter, not by that of the file that has it."""
    assert sorted(path.stem for path in FOLDER.glob("*.yml")) == sorted(filters())


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yml")))
def test_documentation(name: str) -> None:
    """Options are the parameters of the function, in their order, with what is required."""
    page = tree.load(FOLDER / f"{name}.yml")
    assert set(page) == {"DOCUMENTATION", "EXAMPLES", "RETURN"}
    told = page["DOCUMENTATION"]
    first, *others = inspect.signature(filters()[name]).parameters.values()
    assert told["name"] == name
    assert list(told["options"]) == ["_input", *(parameter.name for parameter in others)]
    assert re.findall(r"\w+", told.get("positional", "")) == [parameter.name for parameter in others]
    for option, parameter in zip(told["options"].values(), (first, *others), strict=True):
        assert option.get("required", False) is (parameter.default is parameter.empty), parameter.name
    assert f"slurmrest.toolkit.{name}" in page["EXAMPLES"]
