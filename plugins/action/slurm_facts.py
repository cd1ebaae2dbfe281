"""Look at the host, and add on the controller what the release table says of its Slurm: no host needs all of that."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.action import Action
from ..plugin_utils.facts import looking, warned


class ActionModule(Action):
    """See the module of the same name."""

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the facts; what is to be said of a release that the table does not have is a warning."""
        return warned(self, looking(self, arguments))
