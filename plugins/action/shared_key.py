"""The one place where a key leaves a host: read on the source, written on the task's host, held in memory between."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError

from ..plugin_utils.action import Action
from ..plugin_utils.peer import result_on, succeeded
from ..plugin_utils.restart_columns import RESTART_COLUMNS

LOOK = "slurmrest.toolkit.shared_key"
CHANGE = "slurmrest.toolkit.shared_key_change"
OWN = ("source", "source_path", "supplied", "source_named_by")
"""Parameters that are read here."""


class ActionModule(Action):
    """Give the key of ``source`` (or of the controller's file ``supplied``) to the module on the task's host."""

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run the module on the source first, then here."""
        source = arguments.get("source") or self.here
        source_path = arguments.pop("source_path", None) or arguments["path"]
        source_named_by = arguments.pop("source_named_by", None) or ""
        supplied = arguments.get("supplied")
        if supplied:
            file = Path(self._loader.path_dwim(supplied))
            try:
                arguments["content"] = base64.b64encode(file.read_bytes()).decode()
            except OSError as error:
                raise AnsibleError(f"supplied: the key {str(file)!r} cannot be read: {error.strerror}") from None
        elif source != self.here:
            there = {
                **arguments,
                "path": source_path,
                "named_by": source_named_by,
                "fetch": True,
                "services": [],
            }
            fetched = succeeded(self._placed(source, there), LOOK, source)
            if self._task.check_mode and fetched.get("changed"):
                # The source would make its key in the real run: there is nothing to compare with yet.
                return {"changed": True, "replaced": False, "restarted": []}
            arguments["content"] = fetched["content"]
        result = self._placed(self.here, arguments)
        result.pop("content", None)
        return result

    def _placed(self, host: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Have a host look, and where something is to be done, do it; its result, which may be a failure."""
        result = result_on(self, host, LOOK, arguments, self.variables)
        if result.get("failed") or result.pop("settled", True):
            return result
        others = {name: value for name, value in arguments.items() if name not in OWN}
        return result_on(self, host, CHANGE, {**others, **RESTART_COLUMNS}, self.variables)
