"""Where a gateway's identity service is on its host, for who asks it there."""

from __future__ import annotations

IDENTITY_SETTINGS = "/etc/slurmrest/identity.json"
IDENTITY_SOCKET = "/run/slurmrest-identity.socket"
IDENTITY_KEY_PATH = "/key"
"""For which it names the key that signs."""

KEY_NAME = "slurmrest-gateway"
"""How the kid of the key begins that it signs with."""
