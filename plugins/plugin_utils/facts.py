"""Facts of a host, from within an action plugin: the look on the host, and what the release table says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleError

from ..module_utils.slurmrest.facts.detection import columns, with_release
from ..module_utils.slurmrest.slurm.daemons import CONTROLLER, DATABASE
from .peer import result_on
from .spelling import misspelt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..module_utils.slurmrest.slurmrestd.host_facts import HostFacts
    from .action import Action

MODULE = "slurmrest.toolkit.slurm_facts"
PATIENCE = "slurmrest.toolkit.slurm_patience"
ASKED = ("units", "slurm_conf", "slurmdbd_conf", "prefix")
"""The facts by which daemons are waited for."""


def looking(action: Action, arguments: Mapping[str, Any], host: str = "") -> dict[str, Any]:
    """Run the look on ``host``, else on the task's, and return its result, which may be a failure.

    The facts are complete.
    """
    asked = {**arguments, "columns": columns()}
    result = _on(action, host, MODULE, asked)
    if waited(action, result, host):
        result = _on(action, host, MODULE, asked)
    if not result.get("failed") and "slurmrest" in (result.get("ansible_facts") or {}):
        result["ansible_facts"]["slurmrest"] = with_release(result["ansible_facts"]["slurmrest"])
    return result


def warned(action: Action, result: dict[str, Any]) -> dict[str, Any]:
    """Return a result with what is to be said of its facts' release, and of the variables of the task's host."""
    facts = (result.get("ansible_facts") or {}).get("slurmrest") or {}
    words = [*([facts["warning"]] if facts.get("warning") else []), *misspelt(action.variables)]
    return {**result, "warnings": [*result.get("warnings", ()), *words]} if words else result


def waited(action: Action, result: Mapping[str, Any], host: str = "") -> bool:
    """Wait for daemons that, by the facts in a module's result, were only just started; whether that took a while."""
    facts = (result.get("ansible_facts") or {}).get("slurmrest") or {}
    units = facts.get("units", {})
    if not any(units.get(daemon, {}).get("starting") for daemon in (CONTROLLER, DATABASE)):
        return False
    return bool(_on(action, host, PATIENCE, {"facts": {name: facts[name] for name in ASKED}}).get("waited"))


def _on(action: Action, host: str, module: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    asked = dict(arguments)
    return result_on(action, host, module, asked, action.variables) if host else action.module(module, asked)


def looked(action: Action, arguments: Mapping[str, Any]) -> HostFacts:
    """Return the facts of the task's host. Raises AnsibleError with the words of the look where there are none."""
    result = looking(action, arguments)
    facts: HostFacts | None = (result.get("ansible_facts") or {}).get("slurmrest")
    if facts is None:
        raise AnsibleError(f"{MODULE}: {result.get('msg', 'failed without a message')}")
    return facts
