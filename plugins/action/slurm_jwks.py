"""Look on the host, and have done what is to be done: most runs find nothing, and the look takes few files along."""

from __future__ import annotations

import hashlib
from typing import Any

from ansible.plugins.action import ActionBase

from ..module_utils.slurmrest.bundle import bundle

LOOK = "slurmrest.toolkit.slurm_jwks"
CHANGE = "slurmrest.toolkit.slurm_jwks_change"
PROGRAM = "jwks.command"


class ActionModule(ActionBase):
    """See the module of the same name."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was done, or what would be in check mode."""
        variables: dict[str, Any] = task_vars or {}
        super().run(tmp, variables)
        arguments = dict(self._task.args)
        digest = hashlib.sha256(bundle(PROGRAM)).hexdigest() if arguments.get("program") else ""
        found = self._run(LOOK, {**arguments, "digest": digest}, variables)
        return found if found.pop("settled", True) else self._run(CHANGE, arguments, variables)

    def _run(self, module: str, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self._execute_module(module_name=module, module_args=arguments, task_vars=variables)
        return found
