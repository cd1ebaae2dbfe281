"""Facts of a host, from within an action plugin: the look on the host, and what the release table says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleError

from ..module_utils.slurmrest.facts.detection import columns, with_release
from .peer import result_on

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..module_utils.slurmrest.slurmrestd.host_facts import HostFacts
    from .action import Action

MODULE = "slurmrest.toolkit.slurm_facts"


def looking(action: Action, arguments: Mapping[str, Any], host: str = "") -> dict[str, Any]:
    """Run the look on ``host``, else on the task's, and return its result, which may be a failure.

    The facts are complete.
    """
    asked = {**arguments, "columns": columns()}
    result = result_on(action, host, MODULE, asked, action.variables) if host else action.module(MODULE, asked)
    if not result.get("failed") and "ansible_facts" in result:
        result["ansible_facts"]["slurmrest"] = with_release(result["ansible_facts"]["slurmrest"])
    return result


def looked(action: Action, arguments: Mapping[str, Any]) -> HostFacts:
    """Return the facts of the task's host. Raises AnsibleError with the words of the look where there are none."""
    result = looking(action, arguments)
    facts: HostFacts | None = (result.get("ansible_facts") or {}).get("slurmrest")
    if facts is None:
        raise AnsibleError(f"{MODULE}: {result.get('msg', 'failed without a message')}")
    return facts
