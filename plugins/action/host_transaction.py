"""Look on the host, and have done what is to be done: most runs find nothing, and the look takes few files along."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

LOOK = "slurmrest.toolkit.host_transaction"
CHANGE = "slurmrest.toolkit.host_change"


class ActionModule(ActionBase):
    """See the module of the same name."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was done, or what would be in check mode."""
        super().run(tmp, task_vars)
        result: dict[str, Any] = self._execute_module(module_name=LOOK, task_vars=task_vars)
        if result.pop("settled", True):
            return result
        changed: dict[str, Any] = self._execute_module(module_name=CHANGE, task_vars=task_vars)
        return changed
