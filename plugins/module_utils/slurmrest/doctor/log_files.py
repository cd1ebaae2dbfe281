"""What the daemons of a host have said in files of their own. Changes nothing.

Only lines that tell of trouble are kept, without tokens and passwords.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..host.decider import decider
from ..host.identity import account_facts
from ..host.reading import read_beginning
from ..redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT_LINES = 60
LOG_BYTES = 65536
PREFIX = re.compile(r"^(?:slurm\w+: (?=\S)|\[\d{4}-\d\d-\d\dT[\d:.]+\] )")
"""What a daemon that logs twice, to syslog and to standard error, puts before the same words."""

TROUBLE = re.compile(
    r"(?i)error|fatal|fail|refus|denied|unable|cannot|could not|not found|insecure|expired|restart|exited|disk|\bspace"
    r"|no such|reject|abort|core-dump|killed|skipped|warning|stopped|deactivated|unrecognized|invalid|conver(?:t|sion)"
    r"|timed out|time limit|rate limit|watchdog|^usage: "
)


def trouble_in(conf: Mapping[str, Any] | None, key: str, slurm_user: str) -> list[str]:
    """The end of a daemon's own log file, as far as it tells of trouble.

    Whoever has a say in the path can make it lead anywhere: then it has to be a file of SlurmUser, or of that account.
    """
    entry = next((entry for entry in (conf or {}).get("entries", []) if entry["key"] == key), None)
    if not entry:
        return []
    path = entry["value"]
    other = decider([str(entry["origin"]).rpartition(":")[0], path])
    owner = (account_facts(slurm_user)["uid"] or other) if other else None
    text = (read_beginning(path, LOG_BYTES, end=True, owner=owner) or b"").decode("utf-8", "replace")
    found = [PREFIX.sub("", redacted(line)) for line in text.splitlines() if TROUBLE.search(line)]
    return [line[:400] for line in found[-KEPT_LINES:]]
