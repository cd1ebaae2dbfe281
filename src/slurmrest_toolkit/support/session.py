"""Where systemd keeps what belongs to an account while it is logged in, or lingers."""

from __future__ import annotations

import os
from pathlib import Path

USERS = Path("/run/user")


def directory(users: Path = USERS) -> Path | None:
    """Return this account's run-time directory; None where there is none.

    What the environment says counts where it is this account's: ``su`` leaves the one of whom it was before, and
    ``sudo -u`` and services have no word of one that is there.
    """
    told = os.environ.get("XDG_RUNTIME_DIR", "")
    for candidate in (Path(told) if told else None, users / str(os.geteuid())):
        if candidate is not None and candidate.is_dir() and candidate.stat().st_uid == os.geteuid():
            return candidate
    return None


def environment(users: Path = USERS) -> dict[str, str]:
    """Return what a program's environment lacks for the account's systemd to be found."""
    found = directory(users)
    if found is None or os.environ.get("XDG_RUNTIME_DIR") == str(found):
        return {}
    bus = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={found}/bus"} if (found / "bus").exists() else {}
    return {"XDG_RUNTIME_DIR": str(found), **bus}
