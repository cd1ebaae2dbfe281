"""Who may log in: ordinary users of the host, none of those that a cluster belongs to."""

from __future__ import annotations

import grp
import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LAST_UID = 2_147_483_647
"""uids beyond are no ordinary user's: systemd reserves them. Those that SSSD makes of a directory's SIDs end before."""

NOBODY = (65534, 65535)

_NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Policy:
    """The bounds of logins. ``least_uid`` is the first good uid; no ``groups_allowed`` bounds nothing."""

    slurm_user: str
    least_uid: int = 1000
    users_denied: tuple[str, ...] = ()
    groups_denied: tuple[str, ...] = ()
    groups_allowed: tuple[str, ...] = ()

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Policy:
        """Read what the role wrote."""
        lists = {name: tuple(data[name]) for name in ("users_denied", "groups_denied", "groups_allowed")}
        return cls(str(data["slurm_user"]), int(data["least_uid"]), **lists)

    def refusal(self, name: str) -> str:
        """Why nobody gets a token by this name; empty where its owner may have one."""
        try:
            entry = pwd.getpwnam(name)
        except (KeyError, ValueError):  # ValueError: a name that no account can have
            return "the gateway's host has no account of that name"
        if entry.pw_name != name:
            return f"the account is called {entry.pw_name}"
        if _NUMBER.fullmatch(name):
            return "Slurm could take the name for a uid"
        if entry.pw_uid == 0:
            return "it is root"
        if name == self.slurm_user or entry.pw_uid == _uid(self.slurm_user):
            return "it is SlurmUser"
        if entry.pw_uid < self.least_uid:
            return f"its uid {entry.pw_uid} is below {self.least_uid}"
        if entry.pw_uid in NOBODY or entry.pw_uid > LAST_UID:
            return f"its uid {entry.pw_uid} is nobody's"
        if name in self.users_denied or entry.pw_uid in map(_uid, self.users_denied):
            return "it is listed as one that may not log in, or has the uid of one"
        return self._group_refusal(name, entry.pw_gid)

    def unknown_groups(self) -> list[str]:
        """Those of ``groups_denied`` that the host does not know, now at least: their members cannot be told."""
        return [name for name in self.groups_denied if _gid(name) is None]

    def _group_refusal(self, name: str, gid: int) -> str:
        own = set(os.getgrouplist(name, gid))
        denied = [group for group in self.groups_denied if _gid(group) in own]
        if denied:
            return f"it is in the group {denied[0]}, which may not log in"
        unknown = self.unknown_groups()
        if unknown:
            return f"nobody knows who is in {', '.join(unknown)}, which may not log in"
        if self.groups_allowed and not own.intersection(map(_gid, self.groups_allowed)):
            return f"it is in none of the groups {', '.join(self.groups_allowed)}"
        return ""


def _uid(name: str) -> int | None:
    """Of a name, or of a number, as slurm.conf may name SlurmUser and a site whom it denies."""
    if _NUMBER.fullmatch(name):
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def _gid(name: str) -> int | None:
    if _NUMBER.fullmatch(name):
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None
