"""What the daemons of a host have said in the journal. Changes nothing.

Only lines that tell of trouble are kept, without tokens and passwords.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from typing import TYPE_CHECKING, Any

from ..host import programs
from ..redaction import redacted
from ..slurm.ending import MOST_LINES, continues, is_end
from .log_files import KEPT_LINES, PREFIX, TROUBLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..host.programs import Started

JOURNAL_LINES = 300

_PASSED_OVER = re.compile(r"^\S+\.service: .*(?:\bignoring\b|\bproceeding without\b|does not support)")
"""What systemd says of a directive that a container or a kernel does not do, before it starts the unit all the same."""

_OF_UNIT = ("_SYSTEMD_UNIT", "UNIT", "OBJECT_SYSTEMD_UNIT", "COREDUMP_UNIT")
"""Fields that say to which unit a line belongs: its sender's, and where systemd or another one tells of a unit."""

_FIELDS = ("MESSAGE", "_SYSTEMD_INVOCATION_ID", "INVOCATION_ID", "_PID", *_OF_UNIT)


def ask(unit: str, identifier: str = "", uids: Iterable[int] = ()) -> Started:
    """Start asking the journal for the lines of a unit, and for those that it could not attribute to any unit.

    journald reads the unit of a line that came through syslog from the process, which may be gone by then: the last
    words of a daemon that ends at once are without a unit. What the kernel said of the sender is always there.

    Args:
        unit: with its ending, as in ``slurmctld.service``.
        identifier: what the daemon calls itself; empty where lines without a unit may be another one's.
        uids: of the accounts that the daemon runs as. Anybody may log under any name.
    """
    command = ["journalctl", "--no-pager", "--quiet", f"--lines={JOURNAL_LINES}", "--output=json"]
    # What --unit= stands for, see journalctl(1) and systemd.journal-fields(7).
    asked = [
        [f"_SYSTEMD_UNIT={unit}"],
        ["_PID=1", f"UNIT={unit}"],
        ["_UID=0", f"OBJECT_SYSTEMD_UNIT={unit}"],
        ["_UID=0", f"COREDUMP_UNIT={unit}"],
        *([f"_UID={uid}", f"SYSLOG_IDENTIFIER={identifier}"] for uid in sorted(set(uids)) if identifier),
    ]
    words = [word for match in asked for word in ("+", *match)][1:]
    return programs.start([*command, f"--output-fields={','.join(_FIELDS)}", *words])


def lines(started: Started, unit: str) -> list[dict[str, Any]]:
    """The latest lines that tell of trouble: ``age`` in seconds; ``run`` counts starts back from 0, the latest.

    A line without a unit is of the run of the line after it: systemd tells how a run ended.
    """
    now = time.time()
    kept: list[dict[str, Any]] = []
    runs: dict[str, int] = {}
    run = 0
    after: list[dict[str, Any]] = []  # what may belong to the line before it
    for entry in reversed(_entries(started)):
        message = entry.get("MESSAGE")
        # Who sends a line can send a field twice, or bytes in it: then it is a list.
        units = {str(entry[name]) for name in _OF_UNIT if name in entry}
        if not isinstance(message, str) or (units and unit not in units):
            continue
        if units:
            run = runs.setdefault(_invocation(entry), len(runs))
        text = PREFIX.sub("", redacted(message.strip()))
        age = now - int(entry.get("__REALTIME_TIMESTAMP", 0)) / 1e6
        told: dict[str, Any] = {"age": round(age, 1), "run": run, "text": text[:400]}
        after = after if after and after[-1]["run"] == run else []
        if is_end(text):  # with all of its lines, whatever their words
            kept = [*(one for one in kept if one not in after), *after[-MOST_LINES:]]
        after = [*after, told] if text and continues(text) else []
        telling = TROUBLE.search(text) and not _PASSED_OVER.search(text)
        if telling and text not in (one["text"] for one in kept[-2:]):
            kept.append(told)
        if len(kept) >= KEPT_LINES:
            break
    return kept[::-1]


def _entries(started: Started) -> list[dict[str, Any]]:
    found = []
    for line in programs.finish(started).stdout.splitlines():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def _invocation(entry: Mapping[str, Any]) -> str:
    return str(entry.get("INVOCATION_ID") or ("_PID" in entry and entry.get("_SYSTEMD_INVOCATION_ID")) or "")
