"""Directories below /run: which a service may be given, with all that is in them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from slurmrest.facts import run_directories
from slurmrest.host import trust
from slurmrest.host.access import describe

if TYPE_CHECKING:
    from pathlib import Path

SERVICE, FORMER, OTHER = 64001, 64002, 64003

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to others")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What counts as /run, and is root's alone."""
    monkeypatch.setattr(run_directories, "RUN", (f"{tmp_path}/",))
    monkeypatch.setattr(run_directories, "roots_alone", lambda path: path == str(tmp_path) or trust.roots_alone(path))
    return tmp_path


def given(path: Path) -> bool:
    facts = describe(str(path), {"uid": SERVICE, "gid": SERVICE})
    return run_directories.is_given(str(path), facts, (SERVICE, FORMER), [f"{path}/slurmrestd.socket"])


def made(path: Path, owner: int, mode: int = 0o755, *names: str) -> Path:
    path.mkdir()
    os.chown(path, owner, owner)
    path.chmod(mode)
    for name in names:
        (path / name).touch()
    return path


def test_one_that_is_not_there_is_made(run: Path) -> None:
    assert given(run / "slurmrestd")


@pytest.mark.parametrize(
    ("owner", "mode", "names", "expected"),
    [
        (SERVICE, 0o755, ["slurmrestd.socket", "other"], True),
        (FORMER, 0o755, ["slurmrestd.socket"], True),
        (FORMER, 0o755, ["slurmrestd.socket", "slurmctld.pid"], False),
        (0, 0o755, ["slurmrestd.socket"], True),
        (0, 0o755, [], True),
        (0, 0o755, ["private"], False),
        (0, 0o1777, ["slurmrestd.socket"], False),
        (OTHER, 0o755, ["slurmrestd.socket"], False),
        (OTHER, 0o755, [], False),
    ],
)
def test_what_is_somebody_elses_stays_so(run: Path, owner: int, mode: int, names: list[str], expected: bool) -> None:
    """RuntimeDirectory= chowns all that is there, and removes it when the service ends."""
    assert given(made(run / "d", owner, mode, *names)) is expected


def test_the_way_there_is_roots_alone(run: Path) -> None:
    above = made(run / "above", OTHER)
    made(above / "d", SERVICE)
    assert not given(above / "d")
    assert not given(above / "none")
    (run / "link").symlink_to(made(run / "d", SERVICE))
    assert not given(run / "link")


def test_elsewhere_nothing_is_given() -> None:
    facts = describe("/srv/none", {"uid": SERVICE, "gid": SERVICE})
    assert not run_directories.is_given("/srv/none", facts, (SERVICE, None), [])
