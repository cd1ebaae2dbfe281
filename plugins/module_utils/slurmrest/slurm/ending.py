"""Why a daemon of Slurm ended, from what it logged: the line that decides, not what followed from it. Pure.

Slurm tells a failure from cause to consequence: the loader's or the plugin's own error, then each caller's, then the
fatal of main(), which may have lines of its own (log.c writes the message as it is, line ends included).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MOST_LINES = 6
"""More of a chain, or of a fatal, than this is not told."""

_END = re.compile(r"\bfatal: |error while loading shared libraries: |symbol lookup error: ")
_LEVEL = re.compile(r"\b(?:error|fatal|warning|debug\d?|info|verbose): ")
_ERROR = re.compile(r"\berror: ")
SYSTEMD = r"\S+\.service: |(?:Started|Stopped|Starting|Stopping|Failed to start) "  # its lines
_CONSEQUENCE = re.compile(
    r"Plugin init\(\) callback failed|Dlopen of plugin file failed|[Cc]annot create \S+ context|cannot find \S+ plugin"
    r"|[Ff]ailed to initialize|[Uu]nable to initialize|failure loading plugins|Loading OpenAPI plugins failed"
    r"|ClusterName needs to be specified|Unable to process configuration file"
)
"""Lines that a caller adds to what it was told (src/common/plugin.c, plugrack.c, the ``*_init`` of src/interfaces)."""

_HARMLESS = re.compile(
    r"Unable to open pidfile|Database settings not recommended|Configured MailProg is invalid|can not load PMIx library"
)
"""Errors that a daemon logs at every good start, too."""


def ending(lines: Sequence[str]) -> list[str]:
    """How the last run in a log ended: from its cause to the fatal with all of its lines; empty without a fatal.

    Args:
        lines: messages of one daemon, oldest first, without their time.
    """
    at = max((number for number, line in enumerate(lines) if is_end(line)), default=None)
    if at is None:
        return []
    first = last = at
    while last + 1 < len(lines) and continues(lines[last + 1]):
        last += 1
    chain = [lines[first]]
    while first > 0 and _CONSEQUENCE.search(chain[0]):
        first -= 1
        if _HARMLESS.search(lines[first]):
            continue
        if not _ERROR.search(lines[first]) or is_end(lines[first]):
            break
        chain.insert(0, lines[first])
    return [chain[0], *chain[1:][1 - MOST_LINES :], *lines[at + 1 : last + 1][:MOST_LINES]]


def continues(line: str) -> bool:
    """Whether a line can only belong to the message before it: no level, and not systemd's."""
    return not (_LEVEL.search(line) or re.match(SYSTEMD, line))


def is_end(line: str) -> bool:
    """Whether a daemon ends with this line."""
    return bool(_END.search(line))


def is_consequence(line: str) -> bool:
    """Whether a line only passes on what an earlier one says."""
    return bool(_CONSEQUENCE.search(line))
