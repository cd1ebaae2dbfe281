"""What is this toolkit's own on a host."""

from __future__ import annotations

MARKER = "slurmrest.toolkit wrote this file"

STATE_DIR = "/var/lib/slurmrest"
"""What this toolkit notes of a host, for root only."""

RETIRED_PREFIX = "retired-"
"""Of files there: which key must not come back."""

JOURNAL = "journal-{}.json"
"""By the name of a transaction."""
