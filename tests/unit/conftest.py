"""What no unit test reaches, whatever it calls: this host's containers, images and test clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.played_pytest import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session", autouse=True)
def nothing_of_this_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give engines an empty place of their own; a mistake in a test once removed all images."""
    folder = tmp_path_factory.mktemp("nothing")
    storage = folder / "storage.conf"
    storage.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/images"\nrunroot = "{folder}/run"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_STORAGE_CONF", str(storage))
        patch.setenv("DOCKER_HOST", f"unix://{folder}/docker.sock")
        patch.setenv("SLURMREST_STATE_DIR", str(folder / "state"))
        yield


@pytest.fixture(name="trial")
def a_trial(pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    """Runs of pytest with the plugin of its own; modules that have them name ``pytester`` among their plugins."""
    return Trial(pytester, tmp_path / "state", monkeypatch)
