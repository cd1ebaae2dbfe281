"""Directories below /run: systemd and tmpfiles.d give them to the service, all that is in them, too."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Collection, Mapping
from typing import Any

from ..host.access import describe
from ..host.proc import all_the_while, whose
from ..host.reading import names_in
from ..host.trust import roots_alone

RUN = ("/run/", "/var/run/")


def paths_of(asked: Collection[str], account: Mapping[str, Any], pid: int) -> dict[str, dict[str, Any]]:
    """What is at sockets, their directories and other paths, and which directories the service may be given.

    Args:
        asked: the paths.
        account: the service's.
        pid: the process that runs now, 0 for none.
    """
    running = all_the_while(whose(pid), pid)[0] if pid else None
    found = {path: describe(path, account) for path in asked}
    return {
        path: {**facts, "given": is_given(path, facts, (account["uid"], running), asked)}
        for path, facts in found.items()
    }


def is_given(path: str, facts: Mapping[str, Any], uids: tuple[int | None, int | None], own: Collection[str]) -> bool:
    """Whether a directory is not there, or is the service's already, or would be taken from nobody.

    Args:
        path: of the directory.
        facts: of :func:`..host.access.describe`.
        uids: of the service's account and of the process that runs now, which may be another's; None for none yet.
        own: paths of the service's sockets.
    """
    account, running = uids
    above = posixpath.dirname(path) if facts["exists"] else facts["nearest"]
    if not path.startswith(RUN) or not roots_alone(above) or os.path.islink(path):
        return False
    if not facts["exists"] or facts["uid"] == account:
        return True
    alone = all(posixpath.join(path, name) in own for name in names_in(path))
    return alone and (facts["uid"] == running or (facts["uid"] == 0 and not facts["others_write"]))
