"""Look at the host, and add on the controller what the release table says of its Slurm: no host needs all of that."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils.facts import looking


class ActionModule(ActionBase):
    """See the module of the same name."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the facts; what is to be said of a release that the table does not have is a warning."""
        super().run(tmp, task_vars)
        result = looking(self, dict(self._task.args), task_vars)
        facts = (result.get("ansible_facts") or {}).get("slurmrest") or {}
        if facts.get("warning"):
            result["warnings"] = [*result.get("warnings", ()), facts["warning"]]
        return result
