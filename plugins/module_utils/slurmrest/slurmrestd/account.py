"""Rules for the service account of slurmrestd.

The daemon refuses some accounts itself, but not on every release, and some only by a bug's grace: what may not be is
decided here. (Source: the checks in ``src/slurmrestd/slurmrestd.c`` of every series, and the daemons run as each.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

USER_VARIABLE = "slurm_common_slurmrestd_user"
GROUP_VARIABLE = "slurm_common_slurmrestd_group"
NAME_ALLOWED = "a name of lower-case letters, digits, '-' and '_', at most 32 long, such as slurmrestd"
ALLOWED = "an account of its own, used by nothing else, such as slurmrestd"

NOBODY_IDS = (99, 65534)
"""Slurm's own nobody, and the one of the system. The daemon knows the first only."""

_NOBODY_NAMES = ("nobody", "nogroup", "nfsnobody")
_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


@dataclass(frozen=True)
class Refusal:
    """One reason why an account cannot run slurmrestd."""

    variable: str
    value: str
    allowed: str
    reason: str
    remedy: str


def refusals(
    user: object, group: object, account: Mapping[str, Any] | None, slurm_user: Mapping[str, Any] | None
) -> list[Refusal]:
    """Every reason why slurmrestd cannot run as this account.

    Args:
        user: name of the user.
        group: name of its group.
        account: what the host knows of it (``uid``, ``gid``, ``group``, ``supplementary_groups`` as names), None while
            it does not exist.
        slurm_user: what the host knows of SlurmUser (``name``, ``uid``, ``gid``, ``group``), None when that is unknown.
    """
    bad_names = [_bad_name(USER_VARIABLE, user), _bad_name(GROUP_VARIABLE, group)]
    found = [refusal for refusal in bad_names if refusal is not None]
    if found or not isinstance(user, str) or not isinstance(group, str):
        return found
    account = account or {}
    slurm = slurm_user or {}
    found += _user_refusals(user, account.get("uid"), slurm)
    found += _group_refusals(group, account.get("gid"), slurm)
    if account.get("group") not in (None, group):
        found.append(
            Refusal(
                GROUP_VARIABLE,
                group,
                f"the primary group of {user}, which is {account['group']}",
                "the account exists and has another primary group",
                f"Set {GROUP_VARIABLE}: {account['group']}, or choose another account.",
            )
        )
    return found + _supplementary_refusals(user, group, account.get("supplementary_groups") or ())


def _bad_name(variable: str, name: object) -> Refusal | None:
    if isinstance(name, str) and _NAME.fullmatch(name):
        return None
    return Refusal(variable, str(name), NAME_ALLOWED, "it is no name of a system account", "Choose another name.")


def _user_refusals(user: str, uid: int | None, slurm: Mapping[str, Any]) -> list[Refusal]:
    remedy = f"Set {USER_VARIABLE} to a name of its own; the role creates the account."
    reason = None
    if user == "root" or uid == 0:
        reason = "slurmrestd as root would let anyone who reaches it act as root on the cluster"
    elif user in _NOBODY_NAMES or uid in NOBODY_IDS:
        reason = "nobody is shared with other services, and Slurm treats it as an unknown user"
    elif user == slurm.get("name") or (uid is not None and uid == slurm.get("uid")):
        reason = "SlurmUser owns the cluster: its requests are those of an administrator"
    return [Refusal(USER_VARIABLE, user, ALLOWED, reason, remedy)] if reason else []


def _group_refusals(group: str, gid: int | None, slurm: Mapping[str, Any]) -> list[Refusal]:
    remedy = f"Set {GROUP_VARIABLE} to a group of its own; the role creates it."
    reason = None
    if group == "root" or gid == 0:
        reason = "root's group may read files that the service must not see"
    elif group in _NOBODY_NAMES or gid in NOBODY_IDS:
        reason = "the group is shared with other services"
    elif group == slurm.get("group") or (gid is not None and gid == slurm.get("gid")):
        reason = "SlurmUser's group may read Slurm's secrets, such as the JWT key"
    return [Refusal(GROUP_VARIABLE, group, "a group of its own, such as slurmrestd", reason, remedy)] if reason else []


def _supplementary_refusals(user: str, group: str, groups: Iterable[str]) -> list[Refusal]:
    extra = sorted(set(groups) - {group})
    if not extra:
        return []
    return [
        Refusal(
            USER_VARIABLE,
            user,
            "an account without supplementary groups",
            f"it is also in {', '.join(extra)}: the service would have their rights, and some releases refuse to start",
            f"Remove it with: gpasswd -d {user} GROUP (for each of them), or choose another account.",
        )
    ]
