"""Files opened as another account may."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from .decider import groups_of


@contextlib.contextmanager
def eyes_of(uid: int) -> Iterator[None]:
    """Meanwhile root opens what this account may open, and nothing else; 0 is root.

    A look at the file first would be none: the account could lead the path elsewhere before it is opened. It cannot
    stop this process, whose real user stays root.
    """
    if uid == 0 or os.geteuid() != 0:
        yield
        return
    group, further = os.getegid(), os.getgroups()
    own_group, own_further = groups_of(uid)
    try:
        os.setgroups(own_further)
        os.setegid(own_group)
        os.seteuid(uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(further)
