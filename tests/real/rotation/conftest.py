"""Which layouts a test of rotations is run on: those that its mark names, one without it, with --full everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.real.rotation.rotating import LAYOUTS

if TYPE_CHECKING:
    import pytest

MARK = "layouts"


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    words = "layouts of hosts to run on without --full; with `only` never on another one"
    config.addinivalue_line("markers", f"{MARK}(*names, only=False): {words}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on its layouts; all tests of a layout share one cluster."""
    if "layout" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker(MARK)
        chosen = mark.args if mark else list(LAYOUTS)[:1]
        if metafunc.config.getoption("--full") and not (mark and mark.kwargs.get("only")):
            chosen = list(LAYOUTS)
        metafunc.parametrize("layout", chosen, scope="module")
