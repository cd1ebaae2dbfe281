"""Editor for the site's own slurm.conf and slurmdbd.conf: adds an item to a value, and takes exactly that away again.

It works on texts and knows nothing of the host. The value is changed where it counts (the last entry of the key, in
whatever file that is), a key that is nowhere gets a line of its own, and every other character stays. A comment above
each changed line says what was done; :func:`unmerge` needs nothing else to undo it, whoever edited the file meanwhile::

    # slurmrest.toolkit added to AuthAltTypes: "auth/jwt"
    AuthAltTypes=auth/site,auth/jwt
    # slurmrest.toolkit added the line AuthAltParameters: "jwt_key=/var/lib/slurm/jwt/jwt_hs256.key"
    AuthAltParameters=jwt_key=/var/lib/slurm/jwt/jwt_hs256.key

Texts are decoded bytes (``surrogateescape``, no translation of line breaks), so that any file comes back as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Callable

from ..errors import InputError, SlurmrestError
from ..redaction import CONTROL
from .conf import WHITE, Line, SlurmConf, lines, pair, read
from .conf_escape import escaped

_STRING = r'"(?:[^"\\]|\\.)*"'
_MARK = "# slurmrest.toolkit "
_NOTE = re.compile(
    rf"{re.escape(_MARK)}(?P<what>added the line|added to|replaced in) (?P<key>\w+): "
    rf"(?P<item>{_STRING})(?: for (?P<old>{_STRING}))?[{WHITE}]*",
    re.ASCII,
)
_UNSAFE = re.compile(rf'[\t\r\n ,"]|{CONTROL.pattern}')


@dataclass(frozen=True)
class Wish:
    """An item that the comma-separated value of a key shall have, such as ``auth/jwt`` or ``jwt_key=/path``.

    An item ``name=…`` takes the place of another one of that name. ``accepted`` are items that do as well. With
    ``loose`` the release takes an item behind a blank for the same (column ``auth_alt_items`` of the release table).
    """

    key: str
    item: str
    accepted: tuple[str, ...] = ()
    loose: bool = False

    def __post_init__(self) -> None:
        if not self.item or _UNSAFE.search(self.item):
            raise InputError(self.key, self.item, "an item without white space, quotes and commas")

    @property
    def option(self) -> str | None:
        """``jwt_key=`` of ``jwt_key=/path``; None for an item that is only a name."""
        name, equals, _value = self.item.partition("=")
        return name + equals if equals else None

    def fulfilled(self, conf: SlurmConf) -> bool:
        """Whether the value that counts has the item; of an option that is there twice the first one counts."""
        items = [self.read(item) for item in (conf.get(self.key) or "").split(",")]
        if self.option is not None:
            items = [item for item in items if item.startswith(self.option)][:1]
        return any(item in (self.item, *self.accepted) for item in items)

    def read(self, item: str) -> str:
        """An item of the file as the release reads it."""
        return item.lstrip(WHITE) if self.loose else item


@dataclass(frozen=True)
class Change:
    """One changed line, for people. ``old`` is None for a new line, ``new`` for one that goes; see ``where``."""

    file: str
    line: int  # counted from 1, in the file as it was; of a new line the one that it follows
    old: str | None
    new: str | None

    @property
    def where(self) -> str:
        """Where to make the change by hand."""
        if self.old is None:
            return f"{self.file}, after line {self.line}" if self.line else f"{self.file}, at the end"
        return f"{self.file}, line {self.line}"


@dataclass
class Edit:
    """What is to be written: new texts by path of the file, and the changed lines."""

    texts: dict[str, str] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)


def merge(
    path: str, read_file: Callable[[str], str | None], wishes: Sequence[Wish], *, beside_includer: bool = False
) -> Edit:
    """Fulfil the wishes, and take away what an earlier call added for a wish that is none any more.

    Nothing changes where they are fulfilled already, whoever did that.

    Args:
        path: absolute path of the main file.
        read_file: gives the text of a path as described above, None where there is no such file.
        wishes: at most one a key and option.
        beside_includer: as for :func:`.conf.read`.

    Raises:
        SlurmrestError: the file is not there, an included one cannot be read, or a line to be changed is none that
            Slurm understands.
    """
    conf = _whole(path, read_file, beside_includer)
    before = {file: _text(file, read_file) for file in conf.files}
    wished = {(wish.key, wish.item) for wish in wishes}
    noted_items = [(note["key"], _string(note["item"])) for text in before.values() for _, _, note in _notes(text)]
    outdated = not wished.issuperset(noted_items)
    if not outdated and all(wish.fulfilled(conf) for wish in wishes):
        return Edit()
    undone = {file: _undo(text, file) for file, text in before.items()}
    edit = Edit({file: text for file, (text, _changes) in undone.items()})
    if outdated:
        edit.changes = [change for _text_now, changes in undone.values() for change in changes]
    for wish in wishes:
        conf = _whole(path, edit.texts.get, beside_includer)
        if not wish.fulfilled(conf):
            _fulfil(wish, conf, [other.key for other in wishes], edit)
    edit.texts = {file: text for file, text in edit.texts.items() if text != before[file]}
    return edit


def unmerge(path: str, read_file: Callable[[str], str | None], *, beside_includer: bool = False) -> Edit:
    """Take away what :func:`merge` did, and nothing else.

    Raises:
        SlurmrestError: the file is not there, or an included one cannot be read.
    """
    edit = Edit()
    for file in _whole(path, read_file, beside_includer).files:
        before = _text(file, read_file)
        text, changes = _undo(before, file)
        if text != before and file not in edit.texts:
            edit.texts[file] = text
            edit.changes += changes
    return edit


def noted(text: str) -> bool:
    """Whether :func:`merge` left a note in this text."""
    return next(_notes(text), None) is not None


# --- doing -----------------------------------------------------------------------------------------------------------


def _text(file: str, read_file: Callable[[str], str | None]) -> str:
    text = read_file(file)
    if text is None:
        raise SlurmrestError(f"{file} is gone.")
    return text


def _whole(path: str, read_file: Callable[[str], str | None], beside_includer: bool) -> SlurmConf:
    conf = read(path, read_file, beside_includer=beside_includer)
    if conf is None:
        raise SlurmrestError(f"{path} is not there.")
    # Slurm does not look for files that match a pattern; some releases skip such a line.
    missing = [file for file in conf.missing if "*" not in file]
    if missing:
        raise SlurmrestError(
            f"{path} includes {', '.join(missing)}, which cannot be read: what counts may be in there.",
            "Slurm needs that file as well: restore it, or remove the Include line.",
        )
    return conf


def _fulfil(wish: Wish, conf: SlurmConf, siblings: Sequence[str], edit: Edit) -> None:
    entry = conf.entry(wish.key)
    if entry is None:
        beside = [sibling for sibling in map(conf.entry, siblings) if sibling is not None]
        file = beside[-1].file if beside else conf.path
        _add_line(wish, file, beside[-1].line if beside else None, edit)
        return
    if f"{entry.file}:{entry.line}" in conf.errors:
        raise SlurmrestError(
            f"{entry.file}, line {entry.line} sets {wish.key} in a way that Slurm does not understand."
        )
    _change_value(wish, entry.file, entry.line, edit)


def _change_value(wish: Wish, file: str, number: int, edit: Edit) -> None:
    text = edit.texts[file]
    line = next(line for line in lines(text) if line.number == number)
    value = _Value(line)
    same = [span for item, span in value.items() if wish.option is not None and wish.read(item).startswith(wish.option)]
    item = escaped(wish.item)
    if same:
        start, end = same[0]
        note = _note("replaced in", wish.key, wish.item, text[start:end])
    else:
        start = end = value.end
        item = "," + item if value.text else item
        note = _note("added to", wish.key, wish.item)
    changed = text[line.start : start] + item + text[end : line.end]
    edit.texts[file] = text[: line.start] + note + _line_break(text, line.start) + changed + text[line.end :]
    number -= _added_above(text, line.start)
    edit.changes.append(Change(file, number, text[line.start : line.end].rstrip(WHITE), changed.rstrip(WHITE)))


def _add_line(wish: Wish, file: str, after: int | None, edit: Edit) -> None:
    text = edit.texts[file]
    item = escaped(wish.item)
    added = [_note("added the line", wish.key, wish.item), f"{wish.key}={item}"]
    offset = len(text) if after is None else next(line.end for line in lines(text) if line.number == after)
    end = _line_break(text, offset)
    if offset == len(text) and text and not text.endswith("\n"):
        insertion = "".join(end + line for line in added)
    else:
        insertion = "".join(line + end for line in added)
    edit.texts[file] = text[:offset] + insertion + text[offset:]
    number = after - _added_above(text, offset) if after else 0
    mine = [change.line for change in edit.changes if change.file == file and change.old is None]
    edit.changes.append(Change(file, mine[-1] if mine else number, None, added[1]))


def _added_above(text: str, offset: int) -> int:
    """How many lines of ours there are above a place."""
    return sum(2 if note["what"] == "added the line" else 1 for start, _end, note in _notes(text) if start < offset)


def _note(what: str, key: str, item: str, old: str | None = None) -> str:
    return f"# slurmrest.toolkit {what} {key}: {json.dumps(item)}" + (f" for {json.dumps(old)}" if old else "")


def _line_break(text: str, offset: int) -> str:
    """How lines end around here."""
    at = text.find("\n", offset)
    at = text.rfind("\n") if at < 0 else at
    return "\r\n" if text[max(at - 1, 0) : at] == "\r" else "\n"


class _Value:
    """The value of a line's key, and where its characters are in the file."""

    def __init__(self, line: Line) -> None:
        self.spans = spread(line)
        code = line.text
        match = pair(code)
        if match is None:
            raise SlurmrestError(f"Line {line.number} has no value.")
        self.key = match["key"]
        self.quoted = match["quoted"] is not None
        self.start, stop = match.span("quoted" if self.quoted else "plain")
        self.text = code[self.start : stop]
        # In front of the value there is an equals sign or a quote.
        self.end = self.spans[stop - 1][1]

    def items(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Each item that is not empty, and where it is in the file."""
        at = self.start
        for item in self.text.split(","):
            if item:
                yield item, (self.spans[at][0], self.spans[at + len(item) - 1][1])
            at += len(item) + 1

    def without(self, item: str) -> tuple[int, int] | None:
        """What to cut to get rid of an item, with its comma; None where it is not there."""
        parts = self.text.split(",")
        index = len(parts) - 1 - parts[::-1].index(item) if item in parts else -1
        if index < 0:
            return None
        start = self.start + sum(len(part) + 1 for part in parts[:index])
        end = start + len(item)
        if index > 0:
            start -= 1
        elif len(parts) > 1:
            end += 1
        return self.spans[start][0], self.spans[end - 1][1]


# --- undoing ---------------------------------------------------------------------------------------------------------


def _notes(text: str) -> Iterator[tuple[int, int, Mapping[str, str | None]]]:
    """Start, end and content of each line that is a note."""
    end = 0
    while (start := text.find(_MARK, end)) >= 0:
        stop = text.find("\n", start)
        stop = len(text) if stop < 0 else stop
        end = min(stop + 1, len(text))
        match = _NOTE.fullmatch(text, start, stop)
        if match is not None and text[start - 1 : start] in ("", "\n"):
            yield start, end, match.groupdict()


def _undo(text: str, file: str) -> tuple[str, list[Change]]:
    """The text without our changes. The last note first, so that what is below a note is the line it speaks of."""
    changes: list[Change] = []
    while True:
        notes = list(_notes(text))
        if not notes:
            return text, changes
        start, end, note = notes[-1]
        line = _target(text, end, str(note["key"]), _string(note["item"]))
        if line is None:
            text = text[:start] + text[end:]
            continue
        text, change = _undo_line(text, (start, end), note, line, file)
        changes.append(change)


def _string(text: str | None) -> str:
    return str(json.loads(text or '""'))


def _target(text: str, offset: int, key: str, item: str) -> Line | None:
    """The line that a note speaks of: the one below, or wherever somebody moved it in the meantime."""
    candidates = [line for line in lines(text) if _has(line, key, item)]
    below = [line for line in candidates if line.start == offset]
    return next(iter(below or candidates[-1:]), None)


def _has(line: Line, key: str, item: str) -> bool:
    match = pair(line.text)
    return match is not None and match["key"].lower() == key.lower() and item in _Value(line).text.split(",")


def _undo_line(
    text: str, note_span: tuple[int, int], note: Mapping[str, str | None], line: Line, file: str
) -> tuple[str, Change]:
    start, end = note_span
    value = _Value(line)
    item = _string(note["item"])
    cut = value.without(item)
    old = text[line.start : line.end]
    new: str | None
    if note["what"] == "replaced in":
        first, last = next(span for found, span in value.items() if found == item)
        new = text[line.start : first] + _string(note["old"]) + text[last : line.end]
    elif cut is None or (value.text == item and (note["what"] == "added the line" or not value.quoted)):
        new = None
    else:
        new = text[line.start : cut[0]] + text[cut[1] : line.end]
    number = text.count("\n", 0, line.start) + 1
    change = Change(file, number, old.rstrip(WHITE), None if new is None else new.rstrip(WHITE))
    text = text[: line.start] + (new or "") + text[line.end :]
    if new is None and line.start == end and not old.endswith("\n"):
        # Ours was the last line, without a line break: the one before it is ours, too.
        above = text[:start]
        start -= next((len(ending) for ending in (_line_break(text, start), "\n") if above.endswith(ending)), 0)
    shift = len(new or "") - len(old) if line.start < start else 0
    return text[: start + shift] + text[end + shift :], change


def spread(line: Line) -> list[tuple[int, int]]:
    """Where each character of :attr:`.conf.Line.text` comes from: start and end in the text of the file."""
    raw = [(offset + at, character) for offset, code in line.pieces for at, character in enumerate(code)]
    spans: list[tuple[int, int]] = []
    index = 0
    while index < len(raw):
        start, character = raw[index]
        if character == "\\":
            index += 1
            if index == len(raw):
                break
        spans.append((start, raw[index][0] + 1))
        index += 1
    return spans
