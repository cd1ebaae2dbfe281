"""Mint a token on the controller, gather on the host; a host that cannot be asked is evidence, not an error."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ..plugin_utils.peer import run_on

MODULE = "slurmrest.toolkit.slurm_gather"
TOKEN_MODULE = "slurmrest.toolkit.slurm_token"  # noqa: S105 - the name of a module
TOKEN_SECONDS = 600
USER = "root"


class ActionModule(ActionBase):
    """See the module of the same name."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the evidence, with when it was gathered by the controller's clock."""
        variables: dict[str, Any] = task_vars or {}
        super().run(tmp, variables)
        arguments = dict(self._task.args)
        refused = None
        if "slurmrestd" in (arguments.get("roles") or ["slurmrestd"]):
            arguments["token"], refused = self._token(arguments, variables)
            arguments["request_token"] = self._client_token(arguments)
        begin = time.time()
        try:
            result: dict[str, Any] = self._execute_module(
                module_name=MODULE, module_args=arguments, task_vars=variables
            )
        except AnsibleConnectionFailure as error:
            return {"changed": False, "evidence": None, "unreachable_because": str(error)}
        if result.get("failed"):
            return {**result, "failed": False, "evidence": None, "unreachable_because": result.get("msg", "")}
        result["evidence"].update(asked=[begin, time.time()], token_refused=refused)
        return result

    def _token(self, arguments: dict[str, Any], variables: dict[str, Any]) -> tuple[str | None, str | None]:
        """A token of root, or why there is none."""
        controller = arguments.get("controller") or variables["inventory_hostname"]
        try:
            wanted = {"users": [USER], "lifespan": TOKEN_SECONDS}
            return run_on(self, controller, TOKEN_MODULE, wanted, variables)["tokens"][USER], None
        except AnsibleError as error:
            return None, str(error)

    def _client_token(self, arguments: dict[str, Any]) -> str | None:
        """The client's token, from its file: bare, or as ``scontrol token`` prints it."""
        path = (arguments.get("request") or {}).get("token_file")
        if not path:
            return None
        try:
            text = Path(self._loader.path_dwim(path)).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise AnsibleError(f"token_file: {path!r} cannot be read: {error}") from None
        return text.rpartition("=")[2].strip() or None
