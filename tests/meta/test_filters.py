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
FILTERS: dict[str, Callable[..., Any]] = {
    name: function
    for path in sorted(FOLDER.glob("*.py"))
    for name, function in importlib.import_module(f"ansible_collections.slurmrest.toolkit.plugins.filter.{path.stem}")
    .FilterModule()
    .filters()
    .items()
}


def test_each_filter_has_a_page_and_each_page_a_filter() -> None:
    """Ansible finds a page by the name of the filter, not by that of the file that has it."""
    assert sorted(path.stem for path in FOLDER.glob("*.yml")) == sorted(FILTERS)


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_documentation(name: str) -> None:
    """Options are the parameters of the function, in their order, with what is required."""
    page = tree.load(FOLDER / f"{name}.yml")
    assert set(page) == {"DOCUMENTATION", "EXAMPLES", "RETURN"}
    told = page["DOCUMENTATION"]
    first, *others = inspect.signature(FILTERS[name]).parameters.values()
    assert told["name"] == name
    assert list(told["options"]) == ["_input", *(parameter.name for parameter in others)]
    assert re.findall(r"\w+", told.get("positional", "")) == [parameter.name for parameter in others]
    for option, parameter in zip(told["options"].values(), (first, *others), strict=True):
        assert option.get("required", False) is (parameter.default is parameter.empty), parameter.name
    assert f"slurmrest.toolkit.{name}" in page["EXAMPLES"]
