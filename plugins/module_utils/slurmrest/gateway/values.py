"""How a value of role slurmrest_gateway is read: one of a few forms that no file takes for something else."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ..errors import InputError

PREFIX = "slurmrest_gateway_"

_PATH = re.compile(r"/[A-Za-z0-9_.@+=~/-]+")
_SIZE = re.compile(r"[1-9][0-9]{0,6}[km]")
_UNIT = {"k": 1 << 10, "m": 1 << 20}


def several(
    variables: Mapping[str, Any], name: str, read: Callable[[str, object], Any], *, least: int = 1
) -> list[Any]:
    """A list of at least so many values, each once, read one by one. Raises InputError."""
    given = variables.get(name)
    if not isinstance(given, (list, tuple)):
        raise InputError(name, given, "a list")
    if len(given) < least:
        raise InputError(name, list(given), f"a list with {least} or more")
    found = [read(name, value) for value in given]
    for index, value in enumerate(found):
        if value in found[:index]:
            raise InputError(name, str(value), "each value once")
    return found


def path(variables: Mapping[str, Any], name: str) -> str:
    """An absolute path of plain characters. Raises InputError."""
    value = variables.get(name)
    if isinstance(value, str):
        return plain(name, value)
    raise InputError(name, value, "an absolute path")


def plain(name: str, text: str) -> str:
    """The same of a text."""
    if _PATH.fullmatch(text) and posixpath.normpath(text) == text:
        return text
    raise InputError(
        name,
        text,
        "an absolute path of letters, digits and _ . @ + = ~ - /",
        "nginx would read the rest otherwise",
    )


def number(variables: Mapping[str, Any], name: str, least: int, most: int) -> int:
    """A whole number within bounds, also as text. Raises InputError."""
    value = variables.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and least <= int(value) <= most:
        return int(value)
    raise InputError(name, value, f"{least} to {most}")


def size(variables: Mapping[str, Any], name: str, most: int, *, said: bool = False) -> str:
    """A size as nginx writes it, of at most so many bytes, which the error tells where ``said``. Raises InputError."""
    value = variables.get(name)
    if isinstance(value, str) and _SIZE.fullmatch(value) and int(value[:-1]) * _UNIT[value[-1]] <= most:
        return value
    bound = f", at most {most >> 20}m" if said else ""
    raise InputError(name, value, f"a size such as 512k or 8m{bound}")


def one_of(variables: Mapping[str, Any], name: str, choices: Sequence[str]) -> str:
    """One of some words. Raises InputError."""
    value = str(variables.get(name))
    if value in choices:
        return value
    raise InputError(name, value, " or ".join(choices))
