"""Judge on the controller where the facts of the host suffice: a look at the host costs more than all judging."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ..module_utils.slurmrest.slurmrestd.preflight import is_evidence, verdict, without
from ..plugin_utils.peer import QUIET, without_parameters

MODULE = "slurmrest.toolkit.slurmrestd_preflight"


class ActionModule(ActionBase):
    """See the module of the same name."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what is wrong, from the facts of slurm_facts or from the module, and the digest of those facts."""
        given: dict[str, Any] = task_vars or {}
        super().run(tmp, given)
        variables = self._task.args.get("variables")
        facts = given.get("ansible_facts", {}).get("slurmrest", {})
        if isinstance(variables, dict) and is_evidence(facts, variables):
            left = without(facts, self._task.args.get("set_aside") or [])
            result = verdict(variables, left, installed=boolean(self._task.args.get("installed", False)))
        else:
            # Among the variables are those of the daemon, and they may be secrets.
            result = without_parameters(self._execute_module(module_name=MODULE, task_vars={**given, **QUIET}))
        return {**result, "judged": facts.get("digest")}
