"""Users and groups of this host: their names and numbers."""

from __future__ import annotations

import grp
import os
import pwd
from typing import Any


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
