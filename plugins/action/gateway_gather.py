"""Tell the host which keys its daemons load: that is in the evidence, which was gathered before."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils.evidence import evidence_in

MODULE = "slurmrest.toolkit.gateway_gather"


class ActionModule(ActionBase):
    """See the module of the same name."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module says; nothing of a host that could not be looked at."""
        variables: dict[str, Any] = task_vars or {}
        super().run(tmp, variables)
        arguments = dict(self._task.args)
        own = evidence_in(variables.get(arguments.get("evidence") or ""))
        if not own:
            return {"changed": False, "gateway": None, "taken": None}
        loaded = (own["facts"][conf]["jwks"] for conf in ("slurm_conf", "slurmdbd_conf"))
        arguments["jwks"] = next(filter(None, loaded), "")
        result: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=variables)
        return result
