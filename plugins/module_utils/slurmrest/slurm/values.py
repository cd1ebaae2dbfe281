"""What may stand in slurm.conf, slurmdbd.conf and cgroup.conf, and how it is written there.

One parser reads the three (``src/common/parse_config.c``, the same in all releases of the table): ``#`` starts a
comment inside quotes, too, a backslash takes the next character as it is and continues a line at its end, white space
ends a value that is not in double quotes, and nothing can stand for a double quote between two of them. So
:func:`written` escapes and quotes, and what the file still could not say is refused. Each judge returns why, or None;
none of them looks at a host. What goes into units and environment files is judged in :mod:`..systemd.values`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable

from ..errors import InputError
from ..redaction import CONTROL
from .conf import RECORDS, WHITE, read
from .conf_escape import escaped

VALUE_ALLOWED = "one line of text or a number, without a double quote where it has blanks"
KEY_ALLOWED = "the name of a key: letters, digits, '_' and '.'"

_KEY = re.compile(r"[A-Za-z0-9_.]+")
_LINE_END = re.compile(r"[\r\n]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_COMMENT = re.compile(r"(?<!\\)(?:\\\\)*#")
_QUOTED = re.compile(r'"[^"]*"')
_BLANK = re.compile(f"[{WHITE}]")


def no_line(text: str) -> str | None:
    """Why a text cannot be part of one line of any file; None where it can. A tab is a blank."""
    if _LINE_END.search(text):
        return "it has a line end, and what follows would be a line of its own"
    if CONTROL.search(text):
        return "it has a control character"
    return "it is no valid text" if _SURROGATE.search(text) else None


# --- keys and values -------------------------------------------------------------------------------------------------


def no_key(key: object) -> str | None:
    """Why this is no name of a key."""
    return None if isinstance(key, str) and _KEY.fullmatch(key) else "it is no name of a key"


def no_value(value: object, key: str = "") -> str | None:
    """Why a value cannot be written for a key. Double quotes around the whole of it are the file's, not part of it."""
    text = _text(value)
    if text is None:
        return "it is neither text nor a number"
    if not text:
        return "it is empty, and Slurm does not take a key without a value; leave the key out"
    reason = no_line(text)
    if reason is None and key.lower() in RECORDS:
        return _no_record(key, text)
    if reason is None and '"' in text and not _QUOTED.fullmatch(text) and _BLANK.search(text):
        reason = "it has blanks and a double quote, and nothing stands for a double quote between two of them"
    return reason


def written(value: object, key: str = "") -> str:
    """A value as it stands behind ``Key=``; the reader of :mod:`.conf` gives the same back.

    Args:
        value: text, a number, or a boolean (YAML's ``YES`` and ``NO``). Of a key that begins a record, such as
            ``NodeSet``, the whole of what stands behind it: ``gpus Feature=gpu``.
        key: the key; empty for one inside a record.

    Raises:
        InputError: see :func:`no_value`.
    """
    reason = no_value(value, key)
    if reason is not None:
        raise InputError(key or "value", value, VALUE_ALLOWED, reason)
    text = str(_text(value))
    if key.lower() in RECORDS:
        return text
    return f'"{escaped(text)}"' if _BLANK.search(text) and not _QUOTED.fullmatch(text) else escaped(text)


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return "YES" if value else "NO"
    return str(value) if isinstance(value, (str, int, float)) else None


def _no_record(key: str, text: str) -> str | None:
    """A record is the site's own text: it has to be one line that is understood to its end."""
    if _COMMENT.search(text):
        return "it has a '#', and what follows would be a comment"
    conf = read("/record", {"/record": f"{key}={text}\nEnd=1\n"}.get)
    if conf is None or conf.errors or [entry.key for entry in conf.entries] != [key, "End"]:
        return f"it is not what may stand behind {key}=: a value, then further keys, each with '=' and a value"
    return None


# --- names -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A kind of values: what is allowed, in words, and how it is told."""

    allowed: str
    pattern: re.Pattern[str]

    def refusal(self, value: object) -> str | None:
        """Why a value is none of this kind."""
        text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else None
        if text is None:
            return "it is no text"
        return no_line(text) or (None if self.pattern.fullmatch(text) else f"it is not {self.allowed}")

    def judge(self, variable: str, value: object) -> Iterator[InputError]:
        """The errors about a variable of this kind."""
        reason = self.refusal(value)
        if reason is not None:
            yield InputError(variable, value, self.allowed, None if reason.startswith("it is not") else reason)


NAME = Kind("a name of letters, digits and _ . @ + -", re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*"))
"""A partition, an account, a user: what ``sacctmgr`` and slurm.conf split at blanks, ``,`` and ``=`` is not in it."""

CLUSTER = Kind("a name of letters, digits and _ . -", re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*"))
HOST = Kind("the name or address of a host", re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:-]*"))
CONTROLLER = Kind(
    "the name of a host, with its address in parentheses where that does not resolve",
    re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*(?:\([A-Za-z0-9_.:\[\]-]+\))?"),
)
NODES = Kind("names of nodes, such as n1,gpu[01-16]", re.compile(r"[][A-Za-z0-9_][][,A-Za-z0-9_.@+-]*"))
NUMBER = Kind("a whole number", re.compile(r"[0-9]{1,15}"))
PATH = Kind("an absolute path of letters, digits and _ . @ + ~ : = -", re.compile(r"/[\w.@+~:=/-]*"))
"""Nothing in it means anything to slurm.conf, a unit, or an option of sshd's authorized_keys."""


def judge_options(variable: str, given: object, *, inside_record: bool = False) -> Iterator[InputError]:
    """The errors about a dictionary of keys and values."""
    if not isinstance(given, Mapping):
        yield InputError(variable, given, "a dictionary of keys and values", "it is none")
        return
    for key, value in given.items():
        reason = no_key(key)
        if reason is not None:
            yield InputError(variable, key, KEY_ALLOWED, reason)
            continue
        reason = no_value(value, "" if inside_record else key)
        if reason is not None:
            yield InputError(f"{variable}.{key}", value, VALUE_ALLOWED, reason)


def judge_records(
    variable: str, given: object, fields: Mapping[str, Callable[[str, Any], Iterator[InputError]]]
) -> Iterator[InputError]:
    """The errors about a list of dictionaries, such as nodes: of each member of ``fields``. All have a ``name``."""
    if not isinstance(given, (list, tuple)) or not all(isinstance(item, Mapping) for item in given):
        yield InputError(variable, given, "a list of dictionaries", "it is none")
        return
    for index, item in enumerate(given):
        for name, judge in fields.items():
            if name == "name" or item.get(name) not in (None, ""):
                yield from judge(f"{variable}[{index}].{name}", item.get(name))
