"""Which paths are root's alone, all the way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from slurmrest.host.trust import led_by_others, passed, roots_alone

if TYPE_CHECKING:
    from pathlib import Path

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def names(path: Path) -> list[int]:
    return [entry.st_ino for entry in passed(str(path))]


def test_links_are_passed_as_the_kernel_does(tmp_path: Path) -> None:
    """``..`` behind a link is above what the link leads to."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "file").touch()
    (tmp_path / "link").symlink_to("a/b")
    found = names(tmp_path / "link" / ".." / "file")
    for name in ("link", "a", "a/b", "a/file"):
        assert (tmp_path / name).lstat().st_ino in found
    assert found[-1] == (tmp_path / "a" / "file").stat().st_ino


def test_a_circle_ends(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    assert not roots_alone(str(tmp_path / "one"))


@root_only
@pytest.mark.parametrize("open_to", ["", "directory", "behind", "link", "file"])
def test_one_place_of_another_account_is_enough(open_to: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A middle directory between two links counts, too."""
    for directory in (tmp_path, *tmp_path.parents[:-2]):
        directory.chmod(0o755)
    for name in ("directory", "behind"):
        (tmp_path / name).mkdir()
    (tmp_path / "behind" / "file").touch()
    (tmp_path / "directory" / "link").symlink_to(tmp_path / "behind" / "file")
    places = {
        "directory": tmp_path / "directory",
        "behind": tmp_path / "behind",
        "link": tmp_path / "directory" / "link",
        "file": tmp_path / "behind" / "file",
    }
    # What is above the temporary directory is not ours to judge: /tmp is everybody's.
    above = len(list(passed(str(tmp_path))))
    every = passed
    monkeypatch.setattr(
        "slurmrest.host.trust.passed", lambda path: list(every(path))[above : above + 2] + list(every(path))[-2:]
    )
    if open_to:
        os.chown(places[open_to], 65534, 65534, follow_symlinks=False)
    assert roots_alone(str(places["link"])) == (not open_to)


@root_only
def test_where_another_account_could_lead_a_path(tmp_path: Path) -> None:
    for place in ("ours", "theirs"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "file").touch()
    os.chown(tmp_path / "theirs", 65534, 65534)
    assert not led_by_others(str(tmp_path / "ours" / "file"))
    assert led_by_others(str(tmp_path / "theirs" / "file"))
    assert not led_by_others(str(tmp_path / "theirs" / "file"), links=True)
    (tmp_path / "theirs" / "link").symlink_to(tmp_path / "ours")
    os.lchown(tmp_path / "theirs" / "link", 65534, 65534)
    assert led_by_others(str(tmp_path / "theirs" / "link" / "file"), links=True)
    assert led_by_others(str(tmp_path / "none" / "file"))
    assert not led_by_others(str(tmp_path / "none" / "file"), links=True), "what is not there is led nowhere"
    assert led_by_others(str(tmp_path / "theirs" / "link" / "none"), links=True)
