"""Where root asks slurmrestd of its own host, who listens there is looked at before each request."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from ..slurmrestd import strangers
from ..systemd.systemctl import Systemd

if TYPE_CHECKING:
    from ..rest.client import Target


def accounts_here() -> set[int]:
    """The accounts of every slurmrestd of this host, also of instances; none where this host has no unit of it."""
    found: set[int] = set()
    units = ("slurmrestd.service", "slurmrestd@*.service")
    for unit, shown in Systemd().show_all(units, "LoadState,User").items():
        if shown.get("LoadState") == "loaded":
            found |= strangers.accounts_of(unit, shown.get("User", ""))
    return found


def watched(targets: list[Target]) -> list[Target]:
    """Keep root's token from whoever took slurmrestd's place on a host of slurmrestd's; elsewhere a tunnel may end."""
    accounts = accounts_here() if os.geteuid() == 0 else set()
    if not accounts:
        return targets
    strangers.refuse(targets, accounts)
    return [replace(target, watch=strangers.watch(accounts)) for target in targets]
