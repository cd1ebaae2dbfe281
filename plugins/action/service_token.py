"""Give the module what it needs no look and no sources for: AuthAltParameters, and the program that a host keeps."""

from __future__ import annotations

import base64
from typing import Any

from ansible.plugins.action import ActionBase

from ..module_utils.slurmrest.bundle import bundle
from ..plugin_utils.facts import looked
from ..plugin_utils.peer import given

MODULE = "slurmrest.toolkit.service_token"
PROGRAM = "service_token.fetch"


class ActionModule(ActionBase):
    """See the module of the same name."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module says."""
        variables: dict[str, Any] = task_vars or {}
        super().run(tmp, variables)
        arguments = dict(self._task.args)
        if arguments.get("step") == "controller":
            where = given(arguments, ["slurm_conf"])
            arguments["parameters"] = looked(self, where, variables)["slurm_conf"]["auth_alt_parameters"]
        if arguments.get("step") == "program":
            arguments["content"] = base64.b64encode(bundle(PROGRAM)).decode("ascii")
        result: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=variables)
        return result
