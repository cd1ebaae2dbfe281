"""Files that an account has root read, and may not read itself."""

from __future__ import annotations

from collections.abc import Iterable

from .access import readable
from .decider import decider
from .identity import account_facts


def unreadable(files: Iterable[str]) -> list[str]:
    """Of files of a configuration those that :func:`decider`, who has root read them, may not read itself."""
    files = list(files)
    uid = decider(files)
    account = {**account_facts(str(uid)), "exists": True, "uid": uid}
    return [file for file in dict.fromkeys(files) if readable(file, account) is False] if uid else []
