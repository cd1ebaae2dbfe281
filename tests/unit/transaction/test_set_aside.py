"""Files of the site that are set aside: what stays is byte for byte what was there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slurmrest.systemd import unit_files
from slurmrest.transaction.set_aside import KEPT_SUFFIX, aside, without_lines
from slurmrest.transaction.specs import FileSpec

if TYPE_CHECKING:
    from pathlib import Path

OVERRIDE = """\
# mine
[Service]
Nice=5
ExecStart=
ExecStart=/usr/sbin/slurmrestd \\
# between
    -a rest_auth/jwt \\
    0.0.0.0:6820
LimitNOFILE=8192
"""


def test_lines_go_with_what_continues_them() -> None:
    assert without_lines(OVERRIDE, [4, 5]) == "# mine\n[Service]\nNice=5\nLimitNOFILE=8192\n"
    assert without_lines(OVERRIDE, []) == OVERRIDE


KEYS = st.sampled_from(["ExecStart", "User", "Nice", "Environment"])
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12).map(
    lambda text: text.replace("\x85", "").strip() or "x"
)
ENTRIES = st.lists(st.tuples(KEYS, VALUES, st.sampled_from(["\n", " \\\n  more\n", "\n# comment\n\n"])), max_size=8)


@given(ENTRIES, st.data())
def test_the_other_assignments_stay(entries: list[tuple[str, str, str]], data: st.DataObject) -> None:
    text = "[Service]\n" + "".join(f"{key}={value}{end}" for key, value, end in entries)
    before = unit_files.parse_unit(text, "f")
    going = data.draw(st.sets(st.sampled_from([entry.origin.line for entry in before]))) if before else set()
    after = unit_files.parse_unit(without_lines(text, going), "f")
    assert [(e.key, e.value) for e in after] == [(e.key, e.value) for e in before if e.origin.line not in going]


def test_a_copy_stays_and_the_lines_go(tmp_path: Path) -> None:
    path = tmp_path / "override.conf"
    path.write_text(OVERRIDE)
    path.chmod(0o640)
    copy, rest = aside(str(path), [4, 5], [])
    assert (copy.path, copy.content, copy.mode) == (f"{path}{KEPT_SUFFIX}", OVERRIDE.encode(), 0o640)
    assert (rest.path, rest.content, rest.mode) == (str(path), b"# mine\n[Service]\nNice=5\nLimitNOFILE=8192\n", 0o640)
    assert not copy.shown
    assert not rest.shown


@pytest.mark.parametrize("content", [b"A=1\n", b"\xff\xfe"])
def test_all_of_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "environment"
    path.write_bytes(content)
    copy, gone = aside(str(path), [], [])
    assert (copy.content, gone.path, gone.state) == (content, str(path), "absent")
    ours = FileSpec(str(path), b"ours")
    assert [spec.path for spec in aside(str(path), [], [ours])] == [copy.path], "the transaction writes it itself"


def test_an_earlier_copy_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "override.conf"
    path.write_text("new")
    first = tmp_path / f"override.conf{KEPT_SUFFIX}"
    first.write_text("old")
    assert aside(str(path), [], [])[0].path == f"{first}2"
    first.write_text("new")
    assert aside(str(path), [], [])[0].path == str(first)


def test_what_is_not_there(tmp_path: Path) -> None:
    assert aside(str(tmp_path / "gone"), [], []) == []
