"""Look on the host, and have done what is to be done: most runs find nothing, and the look takes few files along."""

from __future__ import annotations

import hashlib
from typing import Any

from ..module_utils.slurmrest.bundle import bundle
from ..plugin_utils.action import Action

LOOK = "slurmrest.toolkit.slurm_jwks"
CHANGE = "slurmrest.toolkit.slurm_jwks_change"
PROGRAM = "jwks.command"


class ActionModule(Action):
    """See the module of the same name."""

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return what was done, or what would be in check mode."""
        digest = hashlib.sha256(bundle(PROGRAM)).hexdigest() if arguments.get("program") else ""
        found = self.module(LOOK, {**arguments, "digest": digest})
        fetched = found.pop("fetched", None)
        return found if found.pop("settled", True) else self.module(CHANGE, {**arguments, "fetched": fetched})
