"""What owners, modes and access control lists let the accounts of this host do."""

from __future__ import annotations

import os
import posixpath
import stat
from typing import TYPE_CHECKING, Any

from .acl import acl
from .identity import group_name, owner_name

if TYPE_CHECKING:
    from collections.abc import Mapping


def may(facts: Mapping[str, Any], user: Mapping[str, Any], want: int) -> bool:
    """Whether owner and mode let a user read (4), write (2) or enter (1).

    Args:
        facts: ``uid``, ``gid`` and ``mode`` of the file, and ``acl``, where it has an access control list: what
            :func:`ownership` gives.
        user: ``uid``, ``gid`` and, where it has more groups, ``gids``; None as uid stands for anyone.
        want: the sum of the bits above.
    """
    if user["uid"] == 0:
        return True
    groups = {user["gid"], *user.get("gids", ())}
    if facts.get("acl") and facts["uid"] != user["uid"]:
        # acl(5), ACCESS CHECK ALGORITHM: the entry of the user counts alone, then any of its groups, then the others.
        named = [entry["rights"] for entry in facts["acl"] if entry["kind"] == "user" and entry["id"] == user["uid"]]
        group = [
            entry["rights"]
            for entry in facts["acl"]
            if entry["kind"] == "group" and (facts["gid"] if entry["id"] is None else entry["id"]) in groups
        ]
        rights = named or group or [int(facts["mode"]) & 7]
        return any(right & want == want for right in rights)
    shift = 6 if facts["uid"] == user["uid"] else 3 if facts["gid"] in groups else 0
    return int(facts["mode"]) >> shift & want == want


def ownership(path: str) -> dict[str, Any]:
    """``uid``, ``gid``, ``mode`` and, where there is one, ``acl`` of a file; links are followed. Raises OSError."""
    status = os.stat(path)
    entries = [{"kind": entry.kind, "id": entry.id, "rights": entry.rights} for entry in acl(path)]
    facts = {"uid": status.st_uid, "gid": status.st_gid, "mode": stat.S_IMODE(status.st_mode)}
    return {**facts, "acl": entries} if entries else facts


def describe(path: str, account: Mapping[str, Any]) -> dict[str, Any]:
    """Owner, mode and use of a path.

    ``enter`` and ``write`` say whether the account (anyone, where it does not exist) can reach the path and enter it,
    or create files in it, as far as owners and modes tell. For a path that is not there they are those of ``nearest``,
    the closest directory above it that exists.
    """
    nearest = os.path.abspath(path)
    while not os.path.lexists(nearest) and nearest != "/":
        nearest = posixpath.dirname(nearest)
    facts: dict[str, Any] = {"exists": os.path.lexists(path), "nearest": nearest, "kind": None}
    facts.update(enter=False, write=False)
    try:
        status = os.stat(nearest)
        reach = all(may(above, account, 1) for above in directories_above(nearest))
    except OSError:
        return facts
    own = {"uid": status.st_uid, "gid": status.st_gid, "mode": status.st_mode}
    facts["enter"] = reach and may(own, account, 1)
    facts["write"] = reach and may(own, account, 3)
    if facts["exists"]:
        facts.update(
            kind=_kind(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            owner=owner_name(status.st_uid),
            group=group_name(status.st_gid),
            mode=f"{stat.S_IMODE(status.st_mode):04o}",
            others_write=bool(status.st_mode & 0o022),
        )
    return facts


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "directory"), (stat.S_ISREG, "file"), (stat.S_ISSOCK, "socket"))
    return next((name for test, name in kinds if test(mode)), "other")


def directories_above(path: str) -> list[dict[str, Any]]:
    """Owner and mode of every directory above a path, links resolved."""
    found = []
    directory = os.path.realpath(path)
    while directory != "/":
        directory = posixpath.dirname(directory)
        found.append(ownership(directory))
    return found


def readable(path: str, account: Mapping[str, Any]) -> bool | None:
    """Whether owners and modes let the account read a file; None where nobody can tell."""
    if not account["exists"]:
        return None
    try:
        owned = ownership(path)
        reach = all(may(above, account, 1) for above in directories_above(path))
    except OSError:
        return None
    return reach and may(owned, account, 4)
