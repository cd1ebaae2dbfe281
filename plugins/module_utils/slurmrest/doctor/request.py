"""What a client's request says by itself, before anybody is asked about it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..auth import claims
from ..auth.bearer import TokenError

if TYPE_CHECKING:
    from ..auth.bearer import Token

URL_PATH = "A-Za-z0-9._~/-"
URL_QUERY = "A-Za-z0-9._~+;-"
"""What a path, and a name or value in a query, may hold unescaped, the same on every release; what else is ASCII is
refused with 400, 404 or 500. Source: each punctuation mark was sent to the oldest, a middle and the newest release that
distributions package."""

_IN_PATH = re.compile(rf"[{URL_PATH}]|%[0-9A-Fa-f]{{2}}")
_IN_QUERY = re.compile(rf"[{URL_QUERY}]|%[0-9A-Fa-f]{{2}}")
_API_VERSION = re.compile(r"/slurm(?:db)?/(v\d+\.\d+\.\d+)(?:/|\Z)")


def told_of(path: str, token: Token | None) -> dict[str, Any]:
    """``bad_characters`` of the path, the API ``version`` in it, and what the ``token`` says; None for none."""
    version = _API_VERSION.match(path)
    return {
        "bad_characters": _bad_characters(path),
        "version": version[1] if version else None,
        "token": None if token is None else _inspected(token),
    }


def _bad_characters(url: str) -> list[str]:
    """Characters of a path and its query that slurmrestd wants escaped; a bare = is good once in each pair."""
    path, _, query = url.partition("?")
    bad = set(_IN_PATH.sub("", path))
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        bad |= set(_IN_QUERY.sub("", name)) | set(_IN_QUERY.sub("", value))
    return sorted(bad)


def _inspected(token: Token) -> dict[str, Any]:
    """What a token says about itself; nothing of it that could be used to log in."""
    try:
        seen = claims.inspect(token)
    except TokenError as error:
        return {"jwt": False, "words": error.message}
    told = {"jwt": True, "algorithm": seen.algorithm, "user": seen.user, "expires": seen.expires}
    return {**told, "expiry_fault": seen.expiry_fault}
