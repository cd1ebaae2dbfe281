"""The facts of a host with what the release table says of its Slurm, which is added here: on the controller, mostly."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ..errors import InputError
from ..slurm.releases import excerpt, lookup
from .host import COLUMNS, look


def columns() -> list[tuple[str, dict[str, Any]]]:
    """Of the release table what :func:`.host.look` has to know."""
    return excerpt(*COLUMNS)


def detect(options: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that is to be known of this host; as :func:`.host.look`, and :func:`with_release`."""
    return with_release(look(options, columns()))


def with_release(found: Mapping[str, Any]) -> dict[str, Any]:
    """Facts with the row of the release table; ``digest`` is the same as long as all the rest is."""
    release, warning, release_error = release_row(found["version"])
    facts = {**found, "release": release, "warning": warning, "release_error": release_error}
    return {**facts, "digest": hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()}


def release_row(version: str | None) -> tuple[dict[str, Any] | None, str | None, str | None]:
    """The row of the release table, what is to be said about it, and why there is none."""
    if version is None:
        return None, None, None
    try:
        row = lookup(version, "installed Slurm")
    except InputError as error:
        return None, str(error), str(error)
    return row.as_dict(), row.warning, None
