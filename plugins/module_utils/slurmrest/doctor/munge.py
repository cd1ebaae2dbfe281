"""Whether munge makes credentials where Slurm asks it. Changes nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..host import programs
from ..host.decider import groups_of
from ..host.identity import account_facts
from ..host.programs import whom

if TYPE_CHECKING:
    from collections.abc import Mapping


KEY = "/etc/munge/munge.key"
"""Where munged has its key from, unless it is told otherwise (munged(8), --key-file)."""


def look(slurm_conf: Mapping[str, Any], conf: Mapping[str, Any] | None) -> dict[str, Any]:
    """Whether munge makes credentials, for root and for SlurmUser; not asked where Slurm does not use it.

    Args:
        slurm_conf: the facts about slurm.conf.
        conf: its entries, as the doctor has them: AuthInfo may name another socket than munge's own.

    Returns:
        ``used``, ``works``, ``error``; ``socket`` as AuthInfo has it, and whether munge works at its ``own``; ``key``
        for a fingerprint.
    """
    used = slurm_conf["readable"] and slurm_conf["auth_type"].endswith("munge")
    if not used:
        return {"used": used, "works": True, "error": "", "socket": "", "own": True, "key": None}
    socket = named_socket(next((item["value"] for item in _entries(conf) if item["key"] == "authinfo"), ""))
    works, error = _asked(slurm_conf, [f"--socket={socket}"] if socket else [])
    own = works if not socket else not works and _asked(slurm_conf, [])[0]
    return {"used": used, "works": works, "error": error, "socket": socket, "own": own, "key": None}


def named_socket(auth_info: str) -> str:
    """The socket in a value of AuthInfo; empty without one. See slurm.conf(5)."""
    items = (item.partition("=") for item in auth_info.split(","))
    return next((value.strip() for key, _, value in items if key.strip().lower() == "socket"), "")


def _entries(conf: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    return list(reversed(conf["entries"])) if conf else []


def _asked(slurm_conf: Mapping[str, Any], options: list[str]) -> tuple[bool, str]:
    user = account_facts(str(slurm_conf["slurm_user"]))
    as_whom = [{}, whom(user["uid"], *groups_of(user["uid"]))] if user["uid"] and os.geteuid() == 0 else [{}]
    for who in as_whom:
        done = programs.run(["munge", "--no-input", *options], limit=programs.LOOKING_SECONDS, **who)
        if done.returncode != 0:
            return False, done.stderr.strip()[:200]
    return True, ""
