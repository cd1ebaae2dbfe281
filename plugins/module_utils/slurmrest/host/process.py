"""A process, described."""

from __future__ import annotations

import os
import time
from typing import Any

from .private import private
from .proc import read_text


def process(pid: int) -> dict[str, Any] | None:
    """One process: ids, age in seconds, command line and environment.

    ``environment`` is None where nobody may look; the whole is None when the process is gone, or is still systemd's,
    which names it ``(PROGRAM)`` until that runs in it.
    """
    lines = (line.partition(":") for line in (read_text(f"/proc/{pid}/status") or "").splitlines())
    status = {name: value.split() for name, _, value in lines}
    stat = read_text(f"/proc/{pid}/stat")
    if stat is None or "Uid" not in status or "".join(status.get("Name", [])).startswith("("):
        return None
    ticks = int(stat.rpartition(")")[2].split()[19])
    uid, gid = int(status["Uid"][1]), int(status["Gid"][1])
    environment = private(pid, "environ", uid, gid)
    variables = (item.partition("=")[::2] for item in (environment or "").split("\0") if item)
    return {
        "pid": pid,
        "uid": uid,
        "gid": gid,
        "gids": [int(word) for word in status.get("Groups", [])],
        "age": round(time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"), 1),
        "command": [word for word in (read_text(f"/proc/{pid}/cmdline") or "").split("\0") if word],
        "environment": None if environment is None else dict(variables),
    }
