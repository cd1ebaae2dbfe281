"""What keeps an account from a path. Changes nothing."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING, Any

from ..host.access import may, ownership
from ..host.identity import group_name, owner_name
from ..host.trust import led_by_others

if TYPE_CHECKING:
    from collections.abc import Mapping


def closed(path: str, account: Mapping[str, Any], want: int = 4) -> list[dict[str, str]]:
    """What keeps an account from a path, from the root on: ``path``, ``owner``, ``mode``, and the ``missing`` rights.

    ``led`` is there where others than root could lead the path elsewhere. Directories above it have to let it enter,
    and the path itself what is wanted. Nothing of what is not there.
    """
    real = os.path.realpath(path)
    above = [real]
    while above[-1] != "/":
        above.append(posixpath.dirname(above[-1]))
    found = []
    for place in reversed(above) if account["exists"] else ():
        asked = want if place == real else 1
        try:
            owned = ownership(place)
        except OSError:
            break
        if not may(owned, account, asked):
            names = f"{owner_name(owned['uid'])}:{group_name(owned['gid'])}"
            rights = "".join(letter for letter, bit in (("r", 4), ("w", 2), ("x", 1)) if asked & bit)
            found.append({"path": place, "owner": names, "mode": f"{owned['mode']:04o}", "missing": rights})
    led = {"led": "yes"} if found and led_by_others(path) else {}
    return [{**entry, **led} for entry in found]
