"""Reading what slurmrestd answers: errors, and the API versions that are served. Pure.

A verifier meets daemons that are broken, so nothing here trusts the shape of an answer: whatever JSON comes, a function
returns what it found and never raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PATH = re.compile(r"/*(slurm|slurmdb)/(v[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9})(?:/|\Z)")


@dataclass(frozen=True)
class ApiError:
    """One entry of ``errors``: Slurm's error number (None when there is none) and its words."""

    number: int | None
    text: str

    def __str__(self) -> str:
        return self.text if self.number in (None, -1) else f"{self.text} ({self.number})"


@dataclass(frozen=True)
class Served:
    """API versions found in the OpenAPI document, oldest first."""

    slurm: tuple[str, ...]
    slurmdb: tuple[str, ...]


def mapping(value: Any) -> Mapping[str, Any]:
    """The value when it is a JSON object, otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a JSON array; anything else is left out."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    """The value when it is a string, otherwise an empty one."""
    return value if isinstance(value, str) else ""


def number(value: Any) -> int | None:
    """An integer of 64 bits, plain or as Slurm's ``{"set", "infinite", "number"}``; None when there is none."""
    if isinstance(value, dict):
        value = value.get("number") if value.get("set") is not False else None
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 64 else None


def errors_of(payload: Any) -> list[ApiError]:
    """The ``errors`` of an answer, in the keys of every API version. Entries that are no objects count too."""
    entries = mapping(payload).get("errors")
    if not entries:
        return []
    if not isinstance(entries, list):
        return [ApiError(None, f"errors is not a list: {entries!r}")]
    found = []
    for entry in entries:
        fields = mapping(entry)
        numbers = [number(fields.get(key)) for key in ("error_number", "error_code", "errno")]
        words = [text(fields.get(key)).strip() for key in ("error", "description")]
        said = ": ".join(dict.fromkeys(word for word in words if word)) or repr(entry)
        found.append(ApiError(next((value for value in numbers if value is not None), None), said))
    return found


def is_good(status: int, payload: Any) -> bool:
    """Whether an answer is good: 200, an object, and no errors in it. A 200 alone may have errors inside.

    Args:
        status: of HTTP.
        payload: the body as JSON; None where it is none.
    """
    return status == 200 and isinstance(payload, dict) and not errors_of(payload)


def served_versions(document: Any) -> Served:
    """The API versions of an OpenAPI document, from its paths."""
    found: dict[str, set[str]] = {"slurm": set(), "slurmdb": set()}
    for path in mapping(mapping(document).get("paths")):
        match = _PATH.match(path)
        if match:
            found[match[1]].add(match[2])
    return Served(*(tuple(sorted(found[kind], key=_version_key)) for kind in ("slurm", "slurmdb")))


def _version_key(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name[1:].split("."))
