"""Judge on the controller: by the facts of the host where they suffice, else by another look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ..module_utils.slurmrest.errors import SlurmrestError
from ..module_utils.slurmrest.facts.detection import columns, with_release
from ..module_utils.slurmrest.slurmrestd.preflight import (
    groups_of_interest,
    is_evidence,
    paths_of_interest,
    verdict,
    without,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOK = "slurmrest.toolkit.slurm_facts"
PASSED_ON = ("slurmrestd", "slurm_conf", "instance")


class ActionModule(ActionBase):
    """See plugins/modules/slurmrestd_preflight.yml for the options."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what is wrong, and the digest of the facts that were there."""
        given: dict[str, Any] = task_vars or {}
        super().run(tmp, given)
        _, arguments = ActionBase.validate_argument_spec(
            self,
            argument_spec={
                "variables": {"type": "dict", "required": True},
                "slurmrestd": {"type": "path"},
                "slurm_conf": {"type": "path"},
                "instance": {"type": "str", "default": ""},
                "set_aside": {"type": "list", "elements": "str", "default": []},
                "installed": {"type": "bool", "default": False},
            },
        )
        variables = arguments["variables"]
        known = given.get("ansible_facts", {}).get("slurmrest", {})
        try:
            facts = known if is_evidence(known, variables) else self._look(arguments, given)
            result = verdict(variables, without(facts, arguments["set_aside"]), installed=arguments["installed"])
        except SlurmrestError as error:
            raise AnsibleError(str(error)) from None
        return {**result, "judged": known.get("digest")}

    def _look(self, arguments: Mapping[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Facts of the host with all that these variables ask for. Raises AnsibleError with the module's words."""
        variables = arguments["variables"]
        asked = {
            **{name: arguments[name] for name in PASSED_ON if arguments[name]},
            "account": variables.get("slurm_common_slurmrestd_user", "slurmrestd"),
            "paths": paths_of_interest(variables),
            "groups": groups_of_interest(variables),
            "columns": columns(),
        }
        result = self._execute_module(module_name=LOOK, module_args=asked, task_vars=task_vars)
        if "ansible_facts" not in result:
            raise AnsibleError(str(result.get("msg") or "the host gave no facts"))
        return with_release(result["ansible_facts"]["slurmrest"])
