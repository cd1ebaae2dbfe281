"""Look on the host, and have done what is to be done: most runs find nothing, and the look takes few files along.

Where the host was just looked at anyway, and all was as it shall be, it is not even asked.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ansible.module_utils.parsing.convert_bool import boolean

from ..module_utils.slurmrest.errors import SlurmrestError
from ..module_utils.slurmrest.transaction.comparison import Applied
from ..module_utils.slurmrest.transaction.entry import ARGUMENTS, result, wanted
from ..module_utils.slurmrest.transaction.snapshot_comparison import SECONDS, NotSeen, Seen
from ..plugin_utils.action import Action
from ..plugin_utils.peer import result_on
from ..plugin_utils.restart_columns import RESTART_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOK = "slurmrest.toolkit.host_transaction"
CHANGE = "slurmrest.toolkit.host_change"


class ActionModule(Action):
    """See the module of the same name."""

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return what was done, or what would be in check mode."""
        # No host is told what was seen of it.
        sight, asks = arguments.pop("sight", None), arguments.pop("asks", True)
        facts = self.variables.get("ansible_facts", {}).get("slurmrest", {})
        known = self._settled(arguments, sight, facts) if sight else None
        if known:
            return {**result(Applied()), "seen": sight["digest"]}
        if not boolean(asks):
            return {**result(Applied()), "seen": ""}
        if known is None and not _starts(arguments, facts):
            found = self._run(LOOK, arguments)
            if found.pop("settled", True):
                return found
        return self._run(CHANGE, {**arguments, **RESTART_COLUMNS})

    def _settled(self, arguments: dict[str, Any], sight: Mapping[str, Any], facts: Mapping[str, Any]) -> bool | None:
        """Whether all was as it shall be when this host was looked at, and nothing is known to have changed since.

        None where that was not seen: the host is to be asked.
        """
        if facts.get("digest") != sight["digest"] or not 0 <= time.time() - sight["at"] <= SECONDS:
            return None
        if arguments.get("set_aside"):
            return None  # what is to be done depends on what these files hold
        try:
            return Seen(**wanted(self.validated(arguments, ARGUMENTS)), sight=sight).settled()
        except (NotSeen, SlurmrestError):
            return None  # what is refused, the module refuses in its words

    def _run(self, module: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run a module on the task's host, in private where a file is for few."""
        if any(map(_is_for_few, arguments.get("files") or ())):
            return result_on(self, self.here, module, arguments, self.variables)
        return self.module(module, arguments)


def _starts(arguments: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether a daemon is to be started that did not run when facts were read: something is to be done then."""
    units = facts.get("units", {})
    return any(
        service.get("state", "started") == "started"
        and units.get(service.get("name"), {}).get("active", "active") != "active"
        for service in arguments.get("services") or ()
    )


def _is_for_few(file: dict[str, Any]) -> bool:
    """Whether a file holds a secret, or is not to be read by everybody."""
    try:
        mode = int(str(file.get("mode") or "0644"), 8)
    except ValueError:
        return True  # refused by the module
    return bool(file.get("secret_content")) or not mode & 0o004
