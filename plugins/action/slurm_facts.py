"""Look at the host, and add on the controller what the release table says of its Slurm: no host needs all of that."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ..module_utils.slurmrest.facts.detection import columns, with_release

MODULE = "slurmrest.toolkit.slurm_facts"


class ActionModule(ActionBase):
    """See the module of the same name."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the facts; what is to be said of a release that the table does not have is a warning."""
        super().run(tmp, task_vars)
        arguments = {**self._task.args, "columns": columns()}
        result: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars)
        if result.get("failed") or "ansible_facts" not in result:
            return result
        facts = with_release(result["ansible_facts"]["slurmrest"])
        result["ansible_facts"]["slurmrest"] = facts
        if facts["warning"]:
            result["warnings"] = [*result.get("warnings", ()), facts["warning"]]
        return result
