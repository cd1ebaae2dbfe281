"""Give the module what it needs no look and no sources for: AuthAltParameters, and the program that a host keeps."""

from __future__ import annotations

import base64
from typing import Any

from ..module_utils.slurmrest.bundle import bundle
from ..plugin_utils.action import Action, given
from ..plugin_utils.facts import looked

MODULE = "slurmrest.toolkit.service_token"
PROGRAM = "service_token.fetch"


class ActionModule(Action):
    """See the module of the same name."""

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return what the module says."""
        if arguments.get("step") == "controller":
            where = given(arguments, ["slurm_conf"])
            arguments["parameters"] = looked(self, where)["slurm_conf"]["auth_alt_parameters"]
        if arguments.get("step") == "program":
            arguments["content"] = base64.b64encode(bundle(PROGRAM)).decode("ascii")
        return self.module(MODULE, arguments)
