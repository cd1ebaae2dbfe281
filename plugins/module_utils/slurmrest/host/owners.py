"""Users and groups as they are given: by name, or by number."""

from __future__ import annotations

import grp
import pwd

from ..errors import InputError


def uid_for(owner: str) -> int:
    """The uid of a user, who may be given as a number; InputError where there is none."""
    try:
        return int(owner) if owner.isdigit() else pwd.getpwnam(owner).pw_uid
    except KeyError:
        raise InputError("owner", owner, "an account of this host") from None


def group_id(group: str) -> int | None:
    """The number of a group; None where the host does not have it."""
    try:
        return int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def gid_for(group: str) -> int:
    """The gid of a group, which may be given as a number; InputError where there is none."""
    number = group_id(group)
    if number is None:
        raise InputError("group", group, "a group of this host")
    return number
