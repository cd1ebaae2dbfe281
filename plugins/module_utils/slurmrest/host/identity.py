"""Users and groups of this host: names, numbers, and what owners and modes let them do."""

from __future__ import annotations

import grp
import os
import posixpath
import pwd
import stat
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .files import UnsafePath, acl, real

if TYPE_CHECKING:
    from collections.abc import Mapping

if TYPE_CHECKING:
    from collections.abc import Mapping


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


def owner_name(uid: int) -> str:
    """The account of a number, or the number itself where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """The group of a number, or the number itself where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


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


def account_facts(name: str) -> dict[str, Any]:
    """What the host knows of an account; ids are None where it does not exist. A number is looked up as a uid."""
    facts: dict[str, Any] = {"name": name, "exists": False, "uid": None, "gid": None, "group": None}
    facts.update(supplementary_groups=[], gids=[], home=None, shell=None)
    try:
        entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        return facts
    gids = sorted(set(os.getgrouplist(entry.pw_name, entry.pw_gid)) - {entry.pw_gid})
    facts.update(
        name=entry.pw_name,
        exists=True,
        uid=entry.pw_uid,
        gid=entry.pw_gid,
        group=group_name(entry.pw_gid),
        gids=gids,
        supplementary_groups=[group_name(gid) for gid in gids],
        home=entry.pw_dir,
        shell=entry.pw_shell,
    )
    return facts


def gid_of(name: str) -> int | None:
    """The number of a group by its name; None where the host does not have it."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def directories_above(path: str) -> list[dict[str, Any]]:
    """Owner and mode of every directory above a path, links resolved."""
    found = []
    directory = os.path.realpath(path)
    while directory != "/":
        directory = posixpath.dirname(directory)
        found.append(ownership(directory))
    return found


def roots_alone(path: str) -> bool:
    """Whether nobody but root can change a file, put another one in its place, or lead its path elsewhere."""
    try:
        behind = real(path)
        owned = [ownership(behind), *directories_above(behind)]
    except (OSError, UnsafePath):
        return False
    return all(entry["uid"] == 0 and not entry["mode"] & 0o022 for entry in owned)


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
