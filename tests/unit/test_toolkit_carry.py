"""Images carried in files: what `cache save` names is what `cache load` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from slurmrest_toolkit.clusters.layouts import LAYOUTS
from slurmrest_toolkit.command import main
from slurmrest_toolkit.command.cluster import cache
from slurmrest_toolkit.images import archive
from slurmrest_toolkit.images.suites import SUITES
from tests.unit.test_toolkit_archive import manifest, packed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("gateway", [[], ["--gateway"]], ids=["plain", "gateway"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("series", SUITES)
def test_every_name_that_is_saved_is_loaded(tmp_path: Path, series: str, layout: str, gateway: list[str]) -> None:
    options = main.parse(["cluster", "cache", "save", "--slurm", series, "--layout", layout, *gateway, "FILE"])
    names = cache.chosen(options).names
    file = tmp_path / "cache"
    file.write_bytes(packed(("manifest.json", manifest(*names))))
    assert archive.names_in(file) == sorted(names)
