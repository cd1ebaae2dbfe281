"""The key that slurmctld looks for where no jwt_key= names a file: one beside its state."""

from __future__ import annotations

import posixpath

STATE_DIRECTORY = "/var/spool"
"""Where slurm.conf has no StateSaveLocation."""


def fallback_key(state_save_location: str | None) -> str:
    """Its path."""
    return posixpath.join(state_save_location or "", "jwt_hs256.key")
