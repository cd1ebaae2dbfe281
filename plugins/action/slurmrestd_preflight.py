"""Judge on the controller: by the facts of the host where they suffice, else by another look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleError

from ..module_utils.slurmrest.errors import SlurmrestError
from ..module_utils.slurmrest.slurmrestd.preflight import (
    groups_of_interest,
    is_evidence,
    paths_of_interest,
    verdict,
    without,
)
from ..plugin_utils.action import Action, given
from ..plugin_utils.facts import looked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..module_utils.slurmrest.slurmrestd.host_facts import HostFacts

PASSED_ON = ("slurmrestd", "slurm_conf", "instance")


class ActionModule(Action):
    """See plugins/modules/slurmrestd_preflight.yml for the options."""

    TRANSFERS_FILES = False

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return what is wrong, and the digest of the facts that were there."""
        arguments = self.validated(
            arguments,
            {
                "variables": {"type": "dict", "required": True},
                "slurmrestd": {"type": "path"},
                "slurm_conf": {"type": "path"},
                "instance": {"type": "str", "default": ""},
                "set_aside": {"type": "list", "elements": "str", "default": []},
                "installed": {"type": "bool", "default": False},
            },
        )
        variables = arguments["variables"]
        known = self.variables.get("ansible_facts", {}).get("slurmrest", {})
        try:
            facts = known if is_evidence(known, variables) else self._look(arguments)
            result = verdict(variables, without(facts, arguments["set_aside"]), installed=arguments["installed"])
        except SlurmrestError as error:
            raise AnsibleError(str(error)) from None
        return {**result, "judged": known.get("digest")}

    def _look(self, arguments: Mapping[str, Any]) -> HostFacts:
        """Facts of the host with all that these variables ask for. Raises AnsibleError with the module's words."""
        variables = arguments["variables"]
        asked = {
            **given(arguments, PASSED_ON),
            "account": variables.get("slurm_common_slurmrestd_user", "slurmrestd"),
            "paths": paths_of_interest(variables),
            "groups": groups_of_interest(variables),
        }
        return looked(self, asked)
