"""Environment files as systemd reads them, and variables as they may be shown. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..redaction import REDACTED, redacted
from .unit_files import Place

_SECRET_NAME = re.compile(r"JWT|TOKEN|PASS|SECRET|KEY", re.IGNORECASE)

_NOT_SECRET = ("", "daemon")

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_ENTRY = re.compile(r"[ \t\r\n]*(?:[#;][^\r\n]*|(?P<key>[^ \t\r\n][^=\r\n]*)(?P<equals>=)?)?")

_VALUE_PIECE = re.compile(
    r"""(?P<space>[ \t]+)|'(?P<single>[^']*)'?|"(?P<double>(?:[^"\\]|\\.)*)\\?"?|(?P<plain>(?:[^\\\r\n]|\\.|\\$)+)""",
    re.DOTALL,
)


@dataclass(frozen=True)
class Variable:
    """One variable of the daemon's environment. Values that may be secrets are never kept."""

    name: str
    value: str
    origin: Place


def shown(name: str, value: str) -> str:
    """The value of a variable or option without what may be a secret."""
    hide = _SECRET_NAME.search(name) is not None and value not in _NOT_SECRET
    return REDACTED if hide else redacted(value)


def variable_of(name: str, value: str, origin: Place) -> Variable:
    """A variable that was stated at `origin`, its value as it may be shown."""
    return Variable(name, shown(name, value), origin)


def parse_environment_file(text: str, path: str) -> list[Variable]:
    """The variables of an environment file as systemd reads it: no expansion, later beats earlier.

    Lines without ``=``, comments (``#``, ``;``) and names that are none (``export A=b``) are ignored.
    """
    found: list[Variable] = []
    position = 0
    while position < len(text) and (match := _ENTRY.match(text, position)):  # which always matches
        position = match.end()
        key = match["key"]
        if key is None or match["equals"] is None:
            continue
        value, position = _environment_value(text, position)
        name = key.strip()
        if NAME.fullmatch(name):
            found.append(variable_of(name, value, Place(path, text.count("\n", 0, match.start("key")) + 1)))
    return found


def _environment_value(text: str, position: int) -> tuple[str, int]:
    """The value that starts at ``position``, and where it ends."""
    parts: list[str] = []
    while True:
        match = _VALUE_PIECE.match(text, position)
        if match is None:
            return "".join(parts), position
        position = match.end()
        if match["single"] is not None:
            parts.append(match["single"])
        elif match["double"] is not None:
            parts.append(re.sub(r"\\(.)", _in_double_quotes, match["double"], flags=re.DOTALL))
        elif match["plain"] is not None:
            parts.append(re.sub(r"\\(.?)", _in_plain_value, _without_trailing_space(match["plain"]), flags=re.DOTALL))
            return "".join(parts), position


def _without_trailing_space(raw: str) -> str:
    """White space at the end does not count, unless it is escaped."""
    stripped = raw.rstrip(" \t")
    backslashes = len(stripped) - len(stripped.rstrip("\\"))
    return raw[: len(stripped) + backslashes % 2]


def _in_plain_value(match: re.Match[str]) -> str:
    """Any character may be escaped, an escaped line end is a continuation."""
    return match[1].strip("\n")


def _in_double_quotes(match: re.Match[str]) -> str:
    """As a shell: only these are escaped, an escaped line end is a continuation."""
    if match[1] in '"\\`$':
        return match[1]
    return "" if match[1] == "\n" else match[0]
