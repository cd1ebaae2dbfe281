"""Which layouts a test of rotations is run on: what depends on it on each of them, with --full everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.real.rotation.rotating import LAYOUTS

if TYPE_CHECKING:
    import pytest

EACH_LAYOUT = "each_layout"


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", f"{EACH_LAYOUT}: runs on each layout of hosts, also without --full")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on one layout, or on each; all tests of a layout share one cluster."""
    if "layout" in metafunc.fixturenames:
        each = metafunc.config.getoption("--full") or metafunc.definition.get_closest_marker(EACH_LAYOUT)
        metafunc.parametrize("layout", list(LAYOUTS) if each else list(LAYOUTS)[:1], scope="module")
