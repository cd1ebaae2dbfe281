"""Setting files of the site aside, which must not decide any more: a copy stays beside each."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from ..errors import SlurmrestError
from ..host.file_state import read_present
from .specs import FileSpec

KEPT_SUFFIX = ".slurmrest-kept"
"""Suffix of the copy; systemd reads only *.conf."""


def aside(path: str, lines: Collection[int], written: Sequence[FileSpec]) -> list[FileSpec]:
    """What to write so that a file decides no more, as far as ``written`` does not write it anyway.

    Args:
        path: the file of the site; nothing is to be done where it is not there.
        lines: assignments of a unit file that go, by their first line; none given: all of the file goes.
        written: what the same transaction writes.

    Raises:
        SlurmrestError: there are a hundred copies already.
    """
    now = read_present(path)
    if now is None:
        return []
    owned = (now.owner, now.group, now.mode)
    # It may hold secrets: no text is shown.
    copy = FileSpec(_free_name(path, now.content), now.content, "present", *owned, shown=False)
    if any(spec.path == path for spec in written):
        return [copy]
    if not lines:
        return [copy, FileSpec(path, state="absent", shown=False)]
    text = without_lines(now.content.decode("utf-8", "surrogateescape"), lines)
    return [copy, FileSpec(path, text.encode("utf-8", "surrogateescape"), "present", *owned, shown=False)]


def _free_name(path: str, content: bytes) -> str:
    """The name of the copy: after an earlier, other one the next number."""
    for number in range(1, 100):
        name = f"{path}{KEPT_SUFFIX}{'' if number == 1 else number}"
        there = read_present(name)
        if there is None or there.content == content:
            return name
    raise SlurmrestError(f"There are too many copies of {path}.", f"Remove some of {path}{KEPT_SUFFIX}*.")


def without_lines(text: str, lines: Collection[int]) -> str:
    """A unit file without some assignments, given by the number of their first line; all else stays as it is."""
    kept: list[str] = []
    dropping = False
    for number, raw in enumerate(text.splitlines(keepends=True), start=1):
        dropping = dropping or number in lines
        if not dropping:
            kept.append(raw)
        continues = re.search(r"(?<!\\)(?:\\\\)*\\$", raw.rstrip("\r\n")) is not None
        comment = raw.lstrip(" \t").startswith(("#", ";"))
        if dropping and not continues and not comment:
            dropping = False
    return "".join(kept)
