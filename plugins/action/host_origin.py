"""Remember on the host, and have brought back what is remembered: that takes far more files along."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils.restarting import RESTARTING

ORIGIN = "slurmrest.toolkit.host_origin"
FORMER = "slurmrest.toolkit.host_former"


class ActionModule(ActionBase):
    """See the module of the same name."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was done, or what would be in check mode."""
        super().run(tmp, task_vars)
        result: dict[str, Any] = self._execute_module(module_name=ORIGIN, task_vars=task_vars)
        if not result.pop("remembered", False):
            return result
        name = {"name": self._task.args["name"], **RESTARTING}
        brought: dict[str, Any] = self._execute_module(module_name=FORMER, module_args=name, task_vars=task_vars)
        return brought
