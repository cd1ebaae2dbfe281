"""Facts of a host, from within an action plugin: the look on the host, and what the release table says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleError

from ..module_utils.slurmrest.facts.detection import columns, with_release

if TYPE_CHECKING:
    from ansible.plugins.action import ActionBase

    from ..module_utils.slurmrest.slurmrestd.host_facts import HostFacts

MODULE = "slurmrest.toolkit.slurm_facts"


def looking(action: ActionBase, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
    """Run the look on the task's host and return its result, which may be a failure; the facts are complete."""
    result: dict[str, Any] = action._execute_module(
        module_name=MODULE, module_args={**arguments, "columns": columns()}, task_vars=task_vars
    )
    if not result.get("failed") and "ansible_facts" in result:
        result["ansible_facts"]["slurmrest"] = with_release(result["ansible_facts"]["slurmrest"])
    return result


def looked(action: ActionBase, arguments: dict[str, Any], task_vars: dict[str, Any]) -> HostFacts:
    """Return the facts. Raises AnsibleError with the words of the look where there are none."""
    result = looking(action, arguments, task_vars)
    facts: HostFacts | None = (result.get("ansible_facts") or {}).get("slurmrest")
    if facts is None:
        raise AnsibleError(f"{MODULE}: {result.get('msg', 'failed without a message')}")
    return facts
