"""Look on the host, and judge on the controller what another release means: that needs the release table."""

from __future__ import annotations

from typing import Any

from ..module_utils.slurmrest.errors import SlurmrestError
from ..module_utils.slurmrest.facts.detection import columns
from ..module_utils.slurmrest.slurm.releases import RELEASES
from ..module_utils.slurmrest.upgrade.case import Case
from ..module_utils.slurmrest.upgrade.judge import report
from ..plugin_utils.action import Action, given
from ..plugin_utils.facts import looked

MODULE = "slurmrest.toolkit.slurm_upgrade"
WHICH = ("slurmrestd", "slurm_conf", "instance")
"""Which of several Slurms of a host is meant."""


class ActionModule(Action):
    """See the module of the same name."""

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the look, or the report."""
        if arguments.get("looks") is not None:
            return self._judge(arguments)
        protocols = {str(row.protocol_version): row.series for row in RELEASES}
        return self.module(MODULE, {**arguments, "columns": columns(), "protocols": protocols})

    def _judge(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The report of this host; a failure for a release or an acceptance that is not known."""
        variables = arguments.get("variables") or {}
        where = given({**arguments, "account": variables.get("slurm_common_slurmrestd_user")}, (*WHICH, "account"))
        facts = looked(self, where)
        if not facts["version"]:
            words = "There is no Slurm on this host. Run playbooks/deploy.yml to have slurmrestd."
            return {"failed": True, "msg": words}
        read = self.module(MODULE, {"read": facts["unit"]["dropins"]}) if facts["unit"]["dropins"] else {"texts": {}}
        if "texts" not in read:
            return read
        case = Case(arguments["host"], facts, arguments["looks"], variables, read["texts"])
        try:
            return {"changed": False, "report": report(case, arguments.get("accept") or []).as_dict()}
        except SlurmrestError as error:
            return {"failed": True, "msg": str(error)}
