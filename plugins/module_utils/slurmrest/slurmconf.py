"""Reader for slurm.conf, slurmdbd.conf and the files they include.

It reads as Slurm does (``src/common/parse_config.c``): keys in any case, ``#`` starts a comment wherever it stands
unless it is escaped, a backslash at the end continues a line, ``Include`` only at the start of a line and ``%c`` in its
path is the cluster's name in lower case. A line holds one key, but for records such as ``NodeName=…``, which have
several. Nothing is written here; values that are passwords do not appear in any repr.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import Callable

REDACTED = "(redacted)"
INCLUDE_DEPTH = 10

_PAIR = re.compile(
    r'\s*(?P<key>[A-Za-z0-9_.]+)\s*(?P<operator>[-*+/]?)=\s*(?:"(?P<quoted>[^"]*)"|(?P<plain>\S+))(?=\s|$)'
)
_INCLUDE = re.compile(r"include\s+(?P<path>\S+)", re.IGNORECASE)
_BEFORE_COMMENT = re.compile(r"(?:\\.|[^\\#])*\\?")
_RECORDS = frozenset({"nodename", "partitionname", "downnodes", "frontendname", "nodeset", "slurmctldhost"})
_SECRET = re.compile(r"pass(word)?$", re.IGNORECASE)


def is_secret(key: str) -> bool:
    """Whether the values of a key must never be shown: StoragePass and its like."""
    return _SECRET.search(key) is not None


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
        """A comma-separated value such as ``jwt_key=/path,disable_token_creation``; None where there is no ``=``."""
        pairs = [item.partition("=") for item in (self.get(key) or "").split(",") if item]
        return {name: value if equals else None for name, equals, value in pairs}


def read(path: str, read_file: Callable[[str], str | None]) -> SlurmConf | None:
    """Read a configuration with everything it includes.

    Args:
        path: absolute path of the main file; relative includes are looked for beside it.
        read_file: gives the text of a path, None where there is no such file; may raise PermissionError.

    Returns:
        The configuration, or None when the main file is not there. Includes deeper than :data:`INCLUDE_DEPTH` count
        as missing, which ends circles.

    Raises:
        PermissionError: the main file may not be read.
    """
    text = read_file(path)
    if text is None:
        return None
    reader = _Reader(posixpath.dirname(path), read_file)
    reader.take(path, text, 0)
    return SlurmConf(path, tuple(reader.entries), tuple(reader.files), tuple(reader.missing), tuple(reader.errors))


class _Reader:
    """Collects entries over several files."""

    def __init__(self, directory: str, read_file: Callable[[str], str | None]) -> None:
        self.directory = directory
        self.read_file = read_file
        self.entries: list[Entry] = []
        self.files: list[str] = []
        self.missing: list[str] = []
        self.errors: list[str] = []

    def take(self, path: str, text: str, depth: int) -> None:
        self.files.append(path)
        for number, line in _logical_lines(text):
            include = _INCLUDE.match(line)
            if include is not None:
                self._include(include["path"], depth + 1)
            elif line.strip():
                self._pairs(path, number, line)

    def _include(self, name: str, depth: int) -> None:
        cluster = next((entry.value for entry in reversed(self.entries) if entry.key.lower() == "clustername"), "%c")
        path = posixpath.join(self.directory, name.replace("%c", cluster.lower()))
        try:
            text = self.read_file(path) if depth <= INCLUDE_DEPTH else None
        except PermissionError:
            text = None
        if text is None:
            self.missing.append(path)
        else:
            self.take(path, text, depth)

    def _pairs(self, path: str, number: int, line: str) -> None:
        pairs: list[tuple[str, str]] = []
        position = 0
        while (match := _PAIR.match(line, position)) is not None:
            pairs.append((match["key"], match["plain"] if match["quoted"] is None else match["quoted"]))
            position = match.end()
        record = bool(pairs) and pairs[0][0].lower() in _RECORDS
        if not pairs or line[position:].strip() or (len(pairs) > 1 and not record):
            self.errors.append(f"{path}:{number}")
        for key, value in pairs[:1]:
            self.entries.append(Entry(key, value, path, number, tuple(pairs[1:]) if record else ()))


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines without comments, with continued ones joined and escapes resolved."""
    lines: list[tuple[int, str]] = []
    pending, first = "", 0
    for number, raw in enumerate(text.split("\n"), start=1):
        code = _BEFORE_COMMENT.match(raw)
        line = code.group() if code else ""
        if not pending:
            first = number
        stripped = line.rstrip()
        if (len(stripped) - len(stripped.rstrip("\\"))) % 2:
            pending += stripped[:-1]
            continue
        lines.append((first, re.sub(r"\\(.?)", r"\1", pending + line, flags=re.DOTALL)))
        pending = ""
    if pending:
        lines.append((first, pending))
    return lines
