"""Images: when they are made anew, when they are used as they are, when they go."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from slurmrest_toolkit.containers.host import Host
from slurmrest_toolkit.images import base, packages, recipes
from slurmrest_toolkit.images.base import BASE
from slurmrest_toolkit.images.recipes import VERSION_LABEL, Image
from slurmrest_toolkit.support.errors import CannotRunError, ClusterFailedError
from slurmrest_toolkit.support.progress import Progress
from tests.unit.played_engine import PlayedEngine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slurmrest_toolkit.containers.engine import Engine

ROOT = Path(__file__).resolve().parents[2]
HOST = Host(root=True, cgroups="v2", can_raise_limits=True, pids_controller=True)
MMDEBSTRAP = """#!/bin/sh
for word; do
    case $word in --extract-hook=*) hook=${word#*=} ;; esac
done
sh -c "$hook" exec "${word%/*}" || { echo 'E: setup failed'; exit 1; }
echo half >"$word"
echo 'E: the mirror went away'
exit "$FAKE_CODE"
"""
APT = """#!/bin/sh
[ "$*" = '--simulate install slurmrestd' ] || exit 3
echo 'Inst slurmrestd (24.11.5-4 Debian:13/stable [amd64])'
"""


class Store:
    """The image side of an engine."""

    def __init__(self, *names: str, version: str = "24.11.5-4") -> None:
        self.images = {name: {VERSION_LABEL: version} for name in names}
        self.removed: list[str] = []

    def image_labels(self, name: str) -> dict[str, str] | None:
        return self.images.get(name)

    def import_image(self, archive: Path, name: str, labels: Mapping[str, str]) -> None:
        assert archive.is_file()
        self.images[name] = dict(labels)

    def tags(self, repository: str) -> list[str]:
        return [name.rpartition(":")[2] for name in self.images if name.startswith(f"{repository}:")]

    def remove_image(self, name: str) -> None:
        del self.images[name]

    @property
    def engine(self) -> Engine:
        return cast("Engine", self)


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(base, "runtime_directory", lambda: tmp_path)
    (tmp_path / "bin").mkdir()
    for name, script in (("mmdebstrap", MMDEBSTRAP), ("apt-get", APT)):
        program = tmp_path / "bin" / name
        program.write_text(script, encoding="ascii")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_CODE", "0")


def make(store: Store, series: str = "24.11", *, stale: bool = False) -> Image:
    return base.suite_image(store.engine, HOST, Progress(), series, allow_stale=stale)


def test_base_image_is_built_once_and_then_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    built = make(store)
    assert built.name.startswith(f"{BASE}:trixie-")
    assert built.slurm_version == "24.11.5-4"
    monkeypatch.setenv("PATH", "/nowhere")
    assert make(store) == built


def test_image_is_the_same_however_old_the_index_was() -> None:
    store = Store()
    assert make(store, stale=True) == make(store)
    assert len(store.images) == 1


def test_kept_image_of_another_series_is_refused() -> None:
    store = Store()
    name = make(store).name
    store.images[name][VERSION_LABEL] = "25.05.1-1"
    with pytest.raises(CannotRunError, match=r"trixie has moved on to 25\.05\.1-1"):
        make(store)


def test_a_suite_of_another_series_ends_the_build(tmp_path: Path) -> None:
    store = Store()
    with pytest.raises(CannotRunError, match=r"bookworm has moved on to 24\.11\.5-4"):
        make(store, "22.05")
    assert store.images == {}
    assert list((tmp_path / "state" / "build").iterdir()) == []
    asked = ["sh", "-c", base.ASK.format(series="22.05"), "exec", str(tmp_path)]
    assert subprocess.run(asked, capture_output=True, check=False).returncode == 1
    assert subprocess.run([*asked[:2], base.ASK.format(series="24.11"), *asked[3:]], check=False).returncode == 0


def test_failing_build_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FAKE_CODE", "25")
    store = Store()
    with pytest.raises(
        ClusterFailedError, match=r"(?s)could not build trixie \(exit code 25\):\n.*\nE: the mirror went away"
    ):
        make(store)
    assert store.images == {}
    assert list((tmp_path / "state" / "build").iterdir()) == []


@pytest.mark.parametrize(
    ("script", "ended"), [("kill -KILL $$", "signal 9"), ("echo I: unpacking; exit 137", "exit code 137")]
)
def test_a_build_that_is_killed_is_told_as_that(tmp_path: Path, script: str, ended: str) -> None:
    """It says nothing of Slurm then, as a suite without Slurm does."""
    (tmp_path / "bin" / "mmdebstrap").write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
    with pytest.raises(ClusterFailedError, match=rf"could not build trixie \({ended}\)"):
        make(Store())


def test_a_suite_without_slurm_is_named(tmp_path: Path) -> None:
    (tmp_path / "bin" / "apt-get").write_text("#!/bin/sh\necho E: Unable to locate package slurmrestd; exit 100\n")
    with pytest.raises(CannotRunError, match="The suite trixie could not be asked for its Slurm"):
        make(Store())


class SharedEngine(PlayedEngine):
    """A Docker that lists the containers with a label, on which another account builds, too."""

    def _ps(self, words: Sequence[str], _text: str) -> str:
        (wanted,) = (word.partition("=label=")[2] for word in words if "=label=" in word)
        labels = {"theirs": "slurmrest.build=/run/user/1000/slurmrest", "left": "slurmrest.build=/run/mine"}
        return json.dumps(
            [
                {"Names": [name], "Labels": dict([label.split("=", 1)]), "State": "running"}
                for name, label in labels.items()
                if wanted in {label, label.partition("=")[0]}
            ]
        )


def test_what_a_killed_build_left_goes_and_another_account_s_build_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock by which one knows that it was killed is each account's own."""
    monkeypatch.setattr(base, "runtime_directory", lambda: Path("/run/mine"))
    engine = SharedEngine()
    engine.images["debian:13"] = {}
    base.prepare_ordinary(engine, "debian:13", f"{BASE}:image-0", None)
    assert engine.told("run", "--label=slurmrest.build=/run/mine")
    assert [call[-1] for call in engine.told("rm")] == ["left", "build"]


def test_one_older_image_of_the_same_kind_is_kept() -> None:
    names = [f"{BASE}:{tag}" for tag in ("trixie-new", "trixie-b", "bookworm-x", "trixie-c", "trixie-d")]
    store = Store(*names)
    recipes.remove_old(store.engine, BASE, "trixie-", keep=names[0])
    assert list(store.images) == names[:3]


def test_packages_images_follow_their_ingredients(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    for path in packages.INGREDIENTS:
        source = ROOT / path
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, clone / path)
        else:
            shutil.copy(source, clone / path)
    base = Image(f"{BASE}:trixie-1", "24.11.5")
    before = packages.installed_name(base, ["slurmd"], clone)
    assert before == packages.installed_name(base, ["slurmd"], clone)
    assert before.startswith(f"{packages.INSTALLED}:trixie-slurmd-")
    assert before != packages.installed_name(base, ["slurmctld"], clone)
    assert before != packages.installed_name(base, ["slurmd"], clone, ["/var/lib/slurm/slurmctld"])
    assert before != packages.installed_name(Image(f"{BASE}:trixie-2", "24.11.5"), ["slurmd"], clone)
    with (clone / "roles" / "slurm_packages" / "tasks" / "main.yml").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert before != packages.installed_name(base, ["slurmd"], clone)
