"""Look on the host, and have done what is to be done: most runs find nothing, and the look takes few files along.

Where the host was just looked at anyway, and all was as it shall be, it is not even asked.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ..module_utils.slurmrest.errors import SlurmrestError
from ..module_utils.slurmrest.transaction.comparison import Applied
from ..module_utils.slurmrest.transaction.entry import ARGUMENTS, result, wanted
from ..module_utils.slurmrest.transaction.seen import SECONDS, NotSeen, Seen
from ..plugin_utils.peer import result_on
from ..plugin_utils.restarting import RESTARTING

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOK = "slurmrest.toolkit.host_transaction"
CHANGE = "slurmrest.toolkit.host_change"


class ActionModule(ActionBase):
    """See the module of the same name."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was done, or what would be in check mode."""
        variables: dict[str, Any] = task_vars or {}
        super().run(tmp, variables)
        sight, asks = self._task.args.pop("sight", None), self._task.args.pop("asks", True)
        facts = variables.get("ansible_facts", {}).get("slurmrest", {})
        known = self._settled(sight, facts) if sight else None
        if known:
            return {**result(Applied()), "seen": sight["digest"]}
        if not boolean(asks):
            return {**result(Applied()), "seen": ""}
        if known is None and not self._starts(facts):
            found = self._run(LOOK, variables)
            if found.pop("settled", True):
                return found
        return self._run(CHANGE, variables, RESTARTING)

    def _settled(self, sight: Mapping[str, Any], facts: Mapping[str, Any]) -> bool | None:
        """Whether all was as it shall be when this host was looked at, and nothing is known to have changed since.

        None where that was not seen: the host is to be asked.
        """
        if facts.get("digest") != sight["digest"] or not 0 <= time.time() - sight["at"] <= SECONDS:
            return None
        if self._task.args.get("set_aside"):
            return None  # what is to be done depends on what these files hold
        validate: Any = self.validate_argument_spec  # which has no types
        _, arguments = validate(argument_spec=ARGUMENTS)
        try:
            return Seen(**wanted(arguments), sight=sight).settled()
        except NotSeen:
            return None
        except SlurmrestError:
            return None  # the module refuses it, in its words

    def _starts(self, facts: Mapping[str, Any]) -> bool:
        """Whether a daemon is to be started that did not run when facts were read: something is to be done then."""
        units = facts.get("units", {})
        return any(
            service.get("state", "started") == "started"
            and units.get(service.get("name"), {}).get("active", "active") != "active"
            for service in self._task.args.get("services") or ()
        )

    def _run(self, module: str, variables: dict[str, Any], more: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Run a module on the task's host, in private where a file is for few."""
        arguments = {**self._task.args, **(more or {})}
        if any(map(_is_for_few, self._task.args.get("files") or ())):
            return result_on(self, variables["inventory_hostname"], module, arguments, variables)
        found: dict[str, Any] = self._execute_module(module_name=module, module_args=arguments, task_vars=variables)
        return found


def _is_for_few(file: dict[str, Any]) -> bool:
    """Whether a file holds a secret, or is not to be read by everybody."""
    try:
        mode = int(str(file.get("mode") or "0644"), 8)
    except ValueError:
        return True  # refused by the module
    return bool(file.get("secret_content")) or not mode & 0o004
