"""Tell the host which keys its daemons load: that is in the evidence, which was gathered before."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.action import Action
from ..plugin_utils.evidence import evidence_in

MODULE = "slurmrest.toolkit.gateway_gather"


class ActionModule(Action):
    """See the module of the same name."""

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return what the module says; nothing of a host that could not be looked at."""
        own = evidence_in(self.variables.get(arguments.get("evidence") or ""))
        if not own:
            return {"changed": False, "gateway": None, "taken": None}
        loaded = (own["facts"][conf]["jwks"] for conf in ("slurm_conf", "slurmdbd_conf"))
        return self.module(MODULE, {**arguments, "jwks": next(filter(None, loaded), "")})
