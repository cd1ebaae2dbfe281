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
        names = result.pop("remembered", [])
        if not names:
            return result
        done: dict[str, Any] = {"changed": False}
        for name in names:
            arguments = {"name": name, **RESTARTING}
            brought = self._execute_module(module_name=FORMER, module_args=arguments, task_vars=task_vars)
            if brought.get("failed"):
                return {**brought, "changed": done["changed"] or brought.get("changed", False)}
            done = _together(done, brought)
        return done


def _together(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """One result of two: each list holds what is in both."""
    lists = {key: [*first.get(key, []), *value] for key, value in second.items() if isinstance(value, list)}
    return {**first, **second, **lists, "changed": first["changed"] or second["changed"]}
