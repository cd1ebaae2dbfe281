"""Reader for slurm.conf, slurmdbd.conf and the files they include.

It reads as Slurm does (``src/common/parse_config.c``, the same in all releases of the table): keys in any case, ``#``
starts a comment wherever it stands unless it is escaped, a backslash at the end continues a line, ``Include`` only at
the start of a line and ``%c`` in its path is the cluster's name in lower case. A line holds one key, but for records
such as ``NodeName=…``, which have several. Only the white space of ASCII separates. Nothing is written here (that is
:mod:`.conf_edit`); values that are passwords do not appear in any repr.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Callable

from ..redaction import REDACTED, is_secret

INCLUDE_DEPTH = 10
MOST_FILES = 1000
MOST_CHARACTERS = 8 << 20
"""Of a configuration with all that it includes; that of a large site has some hundred kilobytes. Whoever may write one
of its files, as SlurmUser may slurmdbd.conf, could have each of them include all others, and root read for ever."""

WHITE = " \t\n\v\f\r"
"""What Slurm takes for white space (isspace() of the C locale; the daemons never set another one)."""

_PAIR = re.compile(
    r'\s*(?P<key>[A-Za-z0-9_.]+)\s*(?P<operator>[-*+/]?)=\s*(?:"(?P<quoted>[^"]*)"|(?P<plain>\S+))(?=\s|$)', re.ASCII
)
_INCLUDE = re.compile(r"include\s+(?P<path>\S+)", re.IGNORECASE | re.ASCII)
# Up to the comment, or to a NUL, where Slurm's strings end.
_CODE = re.compile(r"(?:\\[^\0]|[^\\#\0])*\\?")
_ESCAPED = re.compile(r"\\(.?)", re.DOTALL)
RECORDS = frozenset(
    {"nodename", "partitionname", "downnodes", "frontendname", "nodeset", "poweraction", "slurmctldhost"}
)
"""Keys, in lower case, whose lines hold further keys."""


def pair(text: str, position: int = 0) -> re.Match[str] | None:
    """The next ``key=value`` of a line: groups ``key``, and ``quoted`` or ``plain`` for the value."""
    return _PAIR.match(text, position)


@dataclass(frozen=True)
class Line:
    """One line as Slurm sees it: physical lines joined where a backslash ends them, comments gone."""

    number: int  # counted from 1, its first physical line
    start: int  # offset of its first character in the text of the file
    end: int  # offset behind its last character, the line break included
    pieces: tuple[tuple[int, str], ...] = field(repr=False)  # offset and code of each of its physical lines

    @property
    def text(self) -> str:
        """What Slurm works on, escapes resolved."""
        code = "".join(code for _offset, code in self.pieces)
        return _ESCAPED.sub(r"\1", code) if "\\" in code else code


def lines(text: str) -> Iterator[Line]:
    """The logical lines of a file, blank ones and comments too; together they are the whole text."""
    pieces: list[tuple[int, str]] = []
    first, start, offset = 1, 0, 0
    for number, raw in enumerate(text.split("\n"), start=1):
        if not pieces:
            first, start = number, offset
        match = _CODE.match(raw)
        code = match.group() if match else ""
        kept = code.rstrip(WHITE)
        continued = (len(kept) - len(kept.rstrip("\\"))) % 2 == 1
        pieces.append((offset, kept[:-1] if continued else code))
        offset = min(offset + len(raw) + 1, len(text))
        if not continued:
            yield Line(first, start, offset, tuple(pieces))
            pieces = []
    if pieces:
        yield Line(first, start, offset, tuple(pieces))


@dataclass(frozen=True)
class Entry:
    """One ``Key=Value``, or a record: its first pair, with the others of the line in ``fields``."""

    key: str
    value: str = field(repr=False)
    file: str
    line: int  # counted from 1, the first of a continued line
    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def shown(self) -> str:
        """The value, unless it is a secret."""
        return REDACTED if is_secret(self.key) else self.value

    def __str__(self) -> str:
        return " ".join(f"{key}={value}" for key, value in [(self.key, self.shown), *self.fields])


@dataclass(frozen=True)
class SlurmConf:
    """A configuration as one list of entries, in the order in which the daemons read them."""

    path: str
    entries: tuple[Entry, ...]
    files: tuple[str, ...]  # every file that was read, the main one first
    missing: tuple[str, ...]  # files that are included but not there (or not readable)
    errors: tuple[str, ...]  # "file:line" of lines that are not understood
    raw: str = field(default="", repr=False, compare=False)  # everything that was read, in that order
    includes: tuple[tuple[str, int, str], ...] = ()  # file and line of each Include, and the path that it means

    def entry(self, key: str) -> Entry | None:
        """The entry that counts: the last one, whatever the case of its key."""
        found = self.entries_of(key)
        return found[-1] if found else None

    def entries_of(self, key: str) -> list[Entry]:
        """All entries of a key, in order: for keys that may come several times, such as SlurmctldHost."""
        return [entry for entry in self.entries if entry.key.lower() == key.lower()]

    def get(self, key: str, default: str | None = None) -> str | None:
        """The value that counts, or ``default``."""
        entry = self.entry(key)
        return default if entry is None else entry.value

    def all(self, key: str) -> list[str]:
        """The values of every entry of a key."""
        return [entry.value for entry in self.entries_of(key)]

    def options(self, key: str) -> dict[str, str | None]:
        """A comma-separated value such as ``jwt_key=/path,disable_token_creation``; None where there is no ``=``.

        Of an option that is there twice the first one counts.
        """
        pairs = [item.partition("=") for item in (self.get(key) or "").split(",") if item]
        return {name: value if equals else None for name, equals, value in reversed(pairs)}


def read(path: str, read_file: Callable[[str], str | None], *, beside_includer: bool = False) -> SlurmConf | None:
    """Read a configuration with everything it includes.

    Args:
        path: absolute path of the main file.
        read_file: gives the text of a path, None where there is no such file; may raise PermissionError.
        beside_includer: a relative path is looked for beside the file that includes it, otherwise beside the main file
            (column ``include_beside_includer`` of the release table).

    Returns:
        The configuration, or None when the main file is not there. Includes deeper than :data:`INCLUDE_DEPTH` count
        as missing, which ends circles, and so does what is beyond :data:`MOST_FILES` and :data:`MOST_CHARACTERS`.

    Raises:
        PermissionError: the main file may not be read.
    """
    text = read_file(path)
    if text is None:
        return None
    reader = _Reader(path, read_file, beside_includer)
    reader.take(path, text, 0)
    return SlurmConf(
        path,
        tuple(reader.entries),
        tuple(reader.files),
        tuple(reader.missing),
        tuple(reader.errors),
        "".join(reader.raw),
        tuple(reader.includes),
    )


class _Reader:
    """Collects entries over several files."""

    def __init__(self, path: str, read_file: Callable[[str], str | None], beside_includer: bool) -> None:
        self.path = path
        self.read_file = read_file
        self.beside_includer = beside_includer
        self.entries: list[Entry] = []
        self.files: list[str] = []
        self.missing: list[str] = []
        self.errors: list[str] = []
        self.raw: list[str] = []
        self.includes: list[tuple[str, int, str]] = []
        self.left = MOST_CHARACTERS
        self.cluster = "%c"

    def take(self, path: str, text: str, depth: int) -> None:
        if len(text) > self.left:
            self.missing.append(path)
            return
        self.left -= len(text)
        self.files.append(path)
        for line in lines(text):
            self.raw.append(text[line.start : line.end])
            code = line.text
            include = _INCLUDE.match(code)
            if include is not None:
                included = self._included(path, include["path"])
                self.includes.append((path, line.number, included))
                if code[include.end() :].strip(WHITE):
                    self.errors.append(f"{path}:{line.number}")
                self._include(included, depth + 1)
            elif code.strip(WHITE):
                self._pairs(path, line.number, code)

    def _include(self, path: str, depth: int) -> None:
        try:
            text = self.read_file(path) if depth <= INCLUDE_DEPTH and len(self.files) < MOST_FILES else None
        except PermissionError:
            text = None
        if text is None:
            self.missing.append(path)
        else:
            self.take(path, text, depth)

    def _included(self, includer: str, name: str) -> str:
        directory = posixpath.dirname(includer if self.beside_includer else self.path)
        return posixpath.join(directory, name.replace("%c", self.cluster.lower()))

    def _pairs(self, path: str, number: int, line: str) -> None:
        pairs: list[tuple[str, str]] = []
        position = 0
        while (match := pair(line, position)) is not None:
            pairs.append((match["key"], match["plain"] if match["quoted"] is None else match["quoted"]))
            position = match.end()
        record = bool(pairs) and pairs[0][0].lower() in RECORDS
        if not pairs or line[position:].strip(WHITE) or (len(pairs) > 1 and not record):
            self.errors.append(f"{path}:{number}")
        for key, value in pairs[:1]:
            self.entries.append(Entry(key, value, path, number, tuple(pairs[1:]) if record else ()))
            self.cluster = value if key.lower() == "clustername" else self.cluster
