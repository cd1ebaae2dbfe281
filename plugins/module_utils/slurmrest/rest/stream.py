"""A JSON object read while it comes: the records of one long list are handed over one by one, and not kept. Pure."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from typing import Any, Callable

_DECODER = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\r\n]*")
_AFTER = (",", ":", "]", "}")
_FIRST_TRY = 1024  # characters; an unfinished value is tried again when twice as many are there
LONGEST_VALUE = 16 * 1024 * 1024
"""Characters that wait for the end of one value; more is no answer of slurmrestd's."""

_Wanted = Callable[[Mapping[str, Any]], None]


class Records:
    """The top object of an answer, whose list `name` may be longer than memory is large.

    `take` is given each object of that list as it comes; what else is in the list is left out. Other values are kept.
    :meth:`feed` never raises: :meth:`rest` says whether a whole object came.
    """

    def __init__(self, name: str, take: _Wanted) -> None:
        self._name, self._take = name, take
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._text, self._at, self._need = "", 0, 1  # what waits, how far it was read, how much has to wait
        self._new: list[str] = []
        self._size = 0
        self._state: Callable[[], bool] = self._opening
        self._key = ""
        self._kept: dict[str, Any] = {}
        self._bad = self._done = False

    def feed(self, piece: bytes) -> None:
        """Take the next bytes."""
        if self._bad:
            return
        try:
            self._new.append(self._utf8.decode(piece))
        except UnicodeDecodeError:
            self._bad = True
        self._size += len(self._new[-1]) if self._new else 0
        if self._size >= self._need:
            self._go_on()
        if self._bad or self._size > LONGEST_VALUE:
            self._bad, self._text, self._at, self._new = True, "", 0, []

    def rest(self) -> dict[str, Any] | None:
        """After the last byte: all but the list's content, for which an empty list stands; None for anything else."""
        self._need = 1
        self._go_on()
        return self._kept if self._done and not self._bad and not self._text.strip() else None

    def _go_on(self) -> None:
        """Read all that is there; what was read is cut off once, and not value by value."""
        self._text, self._new = "".join((self._text, *self._new)), []
        while not self._bad and not self._done and len(self._text) - self._at >= self._need and self._state():
            self._need = 1
        self._text, self._at = self._text[self._at :], 0
        self._size = len(self._text)

    def _letter(self, allowed: str) -> str:
        """The next letter that is no blank, taken away; empty where there is none yet, or it is not allowed."""
        self._at = self._start()
        letter = self._text[self._at : self._at + 1]
        self._at += len(letter)
        self._bad = bool(letter) and letter not in allowed
        return "" if self._bad else letter

    def _start(self) -> int:
        """Where the next letter is that is no blank."""
        return _end(_BLANK.match(self._text, self._at))

    def _value(self) -> tuple[bool, Any]:
        """The next value, taken away, where all of it is there, which what follows shows: ``1`` may become ``1.5``."""
        try:
            value, end = _DECODER.raw_decode(self._text, self._start())
        except (ValueError, RecursionError):
            end = len(self._text)
        after = _end(_BLANK.match(self._text, end))
        if self._text[after : after + 1] not in _AFTER:
            self._need = max(2 * (len(self._text) - self._at), _FIRST_TRY)
            return False, None
        self._at = end
        return True, value

    def _opening(self) -> bool:
        return self._step("{", lambda _letter: self._before_key)

    def _before_key(self) -> bool:
        letter = self._letter('"}')
        if letter == '"':
            self._at -= 1
            self._state = self._in_key
        self._done = letter == "}"
        return bool(letter)

    def _in_key(self) -> bool:
        there, key = self._value()
        if there:
            self._key, self._state = key, self._colon
        return there

    def _colon(self) -> bool:
        return self._step(":", lambda _letter: self._list if self._key == self._name else self._in_value)

    def _list(self) -> bool:
        """The wanted list begins, or what stands in its place."""
        start = self._start()
        if start == len(self._text):
            return False
        if self._text[start] != "[":
            self._state = self._in_value
            return True
        self._kept[self._key] = []
        self._at, self._state = start + 1, self._in_list
        return True

    def _in_list(self) -> bool:
        start = self._start()
        if self._text[start : start + 1] == "]":
            self._at, self._state = start + 1, self._after_value
            return True
        there, record = self._value()
        if there:
            self._state = self._after_record
            if isinstance(record, dict):
                self._take(record)
        return there

    def _after_record(self) -> bool:
        return self._step(",]", lambda letter: self._in_list if letter == "," else self._after_value)

    def _in_value(self) -> bool:
        there, value = self._value()
        if there:
            self._kept[self._key], self._state = value, self._after_value
        return there

    def _after_value(self) -> bool:
        letter = self._letter(",}")
        self._done = letter == "}"
        if letter == ",":
            self._state = self._before_key
        return bool(letter)

    def _step(self, allowed: str, after: Callable[[str], Callable[[], bool]]) -> bool:
        letter = self._letter(allowed)
        if letter:
            self._state = after(letter)
        return bool(letter)


def _end(match: re.Match[str] | None) -> int:
    return match.end() if match else 0
