"""Remember on the host, and have brought back what is remembered: that takes far more files along."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.action import Action
from ..plugin_utils.restart_columns import RESTART_COLUMNS

ORIGIN = "slurmrest.toolkit.host_origin"
FORMER = "slurmrest.toolkit.host_former"


class ActionModule(Action):
    """See the module of the same name."""

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return what was done, or what would be in check mode."""
        result = self.module(ORIGIN, arguments)
        names = result.pop("remembered", [])
        if not names:
            return result
        done: dict[str, Any] = {"changed": False}
        for name in names:
            brought = self.module(FORMER, {"name": name, **RESTART_COLUMNS})
            if brought.get("failed"):
                return {**brought, "changed": done["changed"] or brought.get("changed", False)}
            done = _together(done, brought)
        return done


def _together(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """One result of two: each list holds what is in both."""
    lists = {key: [*first.get(key, []), *value] for key, value in second.items() if isinstance(value, list)}
    return {**first, **second, **lists, "changed": first["changed"] or second["changed"]}
