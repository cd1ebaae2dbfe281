"""The grammar of unit files: assignments, the line that decided, words and quotes. Pure.

Sources: systemd.unit(5), systemd.syntax(7) and the parsers they describe.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WORD = re.compile(r"""(?:[^\s"'\\]|\\.?|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)+""", re.DOTALL)

_PIECE = re.compile(
    r"""\\(?P<escape>x[0-9a-fA-F]{2}|[0-7]{3}|u[0-9a-fA-F]{4}|.)|(?P<quote>["'])|(?P<plain>[^\\"']+|\\)""", re.DOTALL
)

_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " "}


@dataclass(frozen=True)
class Place:
    """The place that decided something: a file and a line, counted from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Assignment:
    """One ``Key=Value`` of a unit file; the value as written, with continued lines joined."""

    section: str
    key: str
    value: str = field(repr=False)
    origin: Place


@dataclass(frozen=True)
class Setting:
    """What all files together say of one key: the values since the last reset, and where that reset was."""

    values: tuple[Assignment, ...] = ()
    reset: Place | None = None


def parse_unit(text: str, path: str) -> list[Assignment]:
    """The assignments of one unit file, in order. What systemd ignores (with a warning in the journal) is left out."""
    found: list[Assignment] = []
    section = ""
    for number, line in _logical_lines(text):
        if line.startswith("["):
            section = line[1:-1] if line.endswith("]") else ""
            continue
        key, equals, value = line.partition("=")
        if equals and section and key.strip():
            found.append(Assignment(section, key.strip(), value.strip(), Place(path, number)))
    return found


def merge(assignments: Iterable[Assignment]) -> dict[tuple[str, str], Setting]:
    """Add up what several files say, in the order given: an empty value forgets all before it."""
    settings: dict[tuple[str, str], Setting] = {}
    for entry in assignments:
        key = (entry.section, entry.key)
        before = settings.get(key, Setting())
        if entry.value:
            settings[key] = Setting((*before.values, entry), before.reset)
        else:
            settings[key] = Setting((), entry.origin)
    return settings


def split_words(text: str) -> list[str]:
    """Split a value at white space; quotes hold words together and C escapes are resolved (systemd.syntax(7))."""
    return [unquote(match.group()) for match in WORD.finditer(text)]


def unquote(word: str, *, c_escapes: bool = True) -> str:
    """Remove quotes and resolve escapes of one word."""
    result: list[str] = []
    quote = ""
    for match in _PIECE.finditer(word):
        mark, escape = match["quote"], match["escape"]
        if mark and (not quote or mark == quote):
            quote = "" if quote else mark
        elif escape is not None:
            result.append(_escaped(escape) if c_escapes else escape)
        else:
            result.append(match.group())
    return "".join(result)


def _escaped(escape: str) -> str:
    if len(escape) > 1:
        return chr(int(escape[1:], 16) if escape[0] in "xu" else int(escape, 8))
    return _ESCAPES.get(escape, escape if escape in "\\\"'" else f"\\{escape}")


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their number: continued ones joined by a space, comments (also inside them) and blanks dropped."""
    pending = ""
    first = 0
    for number, raw in enumerate(re.split(r"\r\n|[\r\n]", text), start=1):
        line = raw.lstrip(" \t")
        if line.startswith(("#", ";")):
            continue
        if not pending:
            first = number
        pending += line
        if re.search(r"(?<!\\)(?:\\\\)*\\$", line):
            pending = pending[:-1] + " "
            continue
        if pending.strip():
            yield first, pending.strip()
        pending = ""
    if pending.strip():
        yield first, pending.strip()
