"""Look on the host, and have done what is to be done: most runs find nothing, and the look takes few files along."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils.peer import result_on

LOOK = "slurmrest.toolkit.host_transaction"
CHANGE = "slurmrest.toolkit.host_change"


class ActionModule(ActionBase):
    """See the module of the same name."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was done, or what would be in check mode."""
        variables: dict[str, Any] = task_vars or {}
        super().run(tmp, variables)
        result = self._run(LOOK, variables)
        return result if result.pop("settled", True) else self._run(CHANGE, variables)

    def _run(self, module: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Run a module on the task's host, in private where a file is for few."""
        if any(map(_is_for_few, self._task.args.get("files") or ())):
            return result_on(self, variables["inventory_hostname"], module, dict(self._task.args), variables)
        result: dict[str, Any] = self._execute_module(module_name=module, task_vars=variables)
        return result


def _is_for_few(file: dict[str, Any]) -> bool:
    """Whether a file holds a secret, or is not to be read by everybody."""
    try:
        mode = int(str(file.get("mode") or "0644"), 8)
    except ValueError:
        return True  # refused by the module
    return bool(file.get("secret_content")) or not mode & 0o004
