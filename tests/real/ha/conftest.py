"""The one pair of controllers that all files of this topic use, in the order of their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real.ha.pair import Pair, pair

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package", name="cluster")
def a_pair(release: str, pytestconfig: pytest.Config) -> Iterator[Pair]:
    """Give a cluster with two controllers, or the one of --cluster."""
    with pair(release, pytestconfig.getoption("--cluster")) as one:
        yield one
