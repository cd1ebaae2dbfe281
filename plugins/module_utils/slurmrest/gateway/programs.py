"""The programs of a gateway, kept on its host: those of logins, and the one that counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..bundle import bundle, interpreter
from ..errors import InputError
from ..transaction.baseline import Baseline
from ..transaction.specs import FileSpec
from ..transaction.transaction import Transaction

ENTRIES = {"login": "login.service", "pam": "login.pam", "counters": "gateway.counters"}
TRANSACTION = "slurmrest_gateway-{}-program"
"""Under which it is remembered that each was not there."""


def have_programs(paths: Mapping[str, str], *, check: bool = False) -> dict[str, Any]:
    """Write programs, named by :data:`ENTRIES`. Raises InputError for another name."""
    changed, diff = False, list[Any]()
    for name, path in paths.items():
        if name not in ENTRIES:
            raise InputError("programs", name, ", ".join(ENTRIES))
        program = FileSpec(path, bundle(ENTRIES[name]), mode=0o755, shown=False)
        done = Transaction(TRANSACTION.format(name), files=[program], origin=Baseline()).apply(check=check)
        changed, diff = changed or done.changed, [*diff, *done.diff]
    return {"changed": changed, "diff": diff, "python": interpreter()}
