"""Images carried in files: `cache load` takes what `cache save` names, and neither hangs nor leaves anything."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from slurmrest_toolkit.clusters.layouts import LAYOUTS
from slurmrest_toolkit.command import main
from slurmrest_toolkit.command.cluster import cache
from slurmrest_toolkit.containers.engine import Engine
from slurmrest_toolkit.images import archive, carry
from slurmrest_toolkit.images.suites import SUITES
from slurmrest_toolkit.support.errors import ClusterFailedError
from tests.unit.test_toolkit_archive import manifest, packed

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 20.0


@pytest.mark.parametrize("gateway", [[], ["--gateway"]], ids=["plain", "gateway"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("series", SUITES)
def test_every_name_that_is_saved_is_loaded(tmp_path: Path, series: str, layout: str, gateway: list[str]) -> None:
    options = main.parse(["cluster", "cache", "save", "--slurm", series, "--layout", layout, *gateway, "FILE"])
    names = cache.chosen(options).names
    file = tmp_path / "cache"
    file.write_bytes(packed(("manifest.json", manifest(*names))))
    assert archive.names_in(file) == sorted(names)


def test_a_compressor_that_dies_ends_the_engine_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk, too: the engine has more to write than a pipe holds, and nobody reads it."""
    for name in ("zstd", "gzip"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n", encoding="ascii")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(carry, "find", lambda *_: True)
    engine = Engine("podman", prefix=("sh", "-c", "exec cat /dev/zero"))
    wanted: Any = SimpleNamespace(names=[], prefix="")
    raised: list[BaseException] = []

    def save() -> None:
        try:
            carry.save(engine, wanted, tmp_path / "out" / "images")
        except ClusterFailedError as error:
            raised.append(error)

    (tmp_path / "out").mkdir()
    saving = threading.Thread(target=save, daemon=True)
    saving.start()
    saving.join(SECONDS)
    assert not saving.is_alive(), "it waits for an engine that waits for a reader"
    assert "could not be written" in str(raised[0])
    assert list((tmp_path / "out").iterdir()) == []
