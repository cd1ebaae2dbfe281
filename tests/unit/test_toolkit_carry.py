"""Images carried in files: `cache load` takes what `cache save` names, and neither hangs nor leaves anything."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from slurmrest_toolkit.clusters.layouts import LAYOUTS
from slurmrest_toolkit.command import main
from slurmrest_toolkit.command.cluster import cache
from slurmrest_toolkit.containers.engine import Engine, EngineError
from slurmrest_toolkit.images import archive, carry, warm
from slurmrest_toolkit.images.suites import SUITES
from slurmrest_toolkit.support import locks
from slurmrest_toolkit.support.errors import ClusterFailedError
from tests.unit.played_engine import PlayedEngine
from tests.unit.test_toolkit_archive import OTHER, OURS, Loader, manifest, packed

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


@pytest.fixture(name="state")
def a_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(warm, "runtime_directory", lambda: tmp_path)
    (tmp_path / "cache").write_bytes(packed(("manifest.json", manifest(OURS, OTHER))))
    return tmp_path / "state"


def test_the_copy_of_a_load_that_was_killed_goes_with_the_next(state: Path) -> None:
    (state / "load-killed").mkdir(parents=True)
    (state / "load-killed" / "cache").write_bytes(b"the whole archive")
    (state / "clusters").mkdir()
    assert carry.load(Loader().engine, state.parent / "cache") == [OTHER, OURS]
    assert sorted(path.name for path in state.iterdir()) == ["clusters", "locks"]


def test_a_load_waits_for_the_one_that_is_at_work(state: Path) -> None:
    """Its copy is in use."""
    copy = state / "load-at-work" / "cache"
    copy.parent.mkdir(parents=True)
    copy.touch()
    loading = threading.Thread(target=carry.load, args=(Loader().engine, state.parent / "cache"))
    with locks.locked(state / "locks" / carry.LOADING, waiting=None) as held:
        assert held
        loading.start()
        loading.join(0.3)
        assert loading.is_alive()
        assert copy.exists()
    loading.join(SECONDS)
    assert not copy.exists()


@pytest.mark.usefixtures("state")
def test_images_that_are_there_keep_their_names(tmp_path: Path) -> None:
    """An image of the same recipe, made elsewhere, would take the name; that of before stayed without one."""
    engine = PlayedEngine()
    engine.images.update({OURS: {}, OTHER: {}})
    assert carry.load(engine, tmp_path / "cache") == []
    assert engine.told("load") == []
    del engine.images[OURS]
    engine.failing.add("load")
    with pytest.raises(EngineError):
        carry.load(engine, tmp_path / "cache")
    assert [call[0] for call in engine.calls][-2:] == ["rmi", "load"], "a set is loaded whole"
