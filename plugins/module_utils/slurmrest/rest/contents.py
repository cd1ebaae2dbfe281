"""What is in a good answer of slurmrestd: the release that gave it, the controllers of a ping. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .answers import mapping, objects, text

if TYPE_CHECKING:
    from ..slurm.api_versions import ApiVersion

# Without what would command the terminal or end the line of a report: whatever answers can say anything here.
_RELEASE = re.compile(r"[0-9]{2}\.[0-9]{2}\.[0-9]{1,3}[A-Za-z0-9.+~_-]{0,40}\Z")


def slurm_version(payload: Any) -> str | None:
    """The release in ``meta``, such as YY.MM.PATCH; None when it is not there or not a version."""
    meta = mapping(mapping(payload).get("meta"))
    for key in ("slurm", "Slurm"):
        words = text(mapping(meta.get(key)).get("release")).split()
        if words and _RELEASE.match(words[-1]):
            return words[-1]
    return None


def controllers(payload: Any, api: ApiVersion) -> tuple[tuple[str, bool], ...]:
    """The controllers of a ping answer: host name and whether slurmctld answered there."""
    return tuple(
        (text(ping.get("hostname")) or "?", ping.get(api.ping_key) == api.ping_up)
        for ping in objects(mapping(payload).get("pings"))
    )
