"""Whom a run asks of several controllers, what came of slurm.conf there (module_utils/slurmrest/merge/conf_outcome.py).

The choice is that of module_utils/slurmrest/slurm/controllers.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..module_utils.slurmrest.merge.conf_outcome import ConfOutcome
from ..module_utils.slurmrest.slurm.controllers import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def serving_controller(names: Sequence[str], hostvars: Mapping[str, Any]) -> str:
    """Return the first of these hosts whose slurmctld runs, by the facts of this run; an empty string for no host."""
    if len(names) < 2:
        return "".join(names)
    known = {name: hostvars[name].get("ansible_facts", {}).get("slurmrest") for name in names if name in hostvars}
    active = {name: facts["units"]["slurmctld"]["active"] == "active" for name, facts in known.items() if facts}
    return serving(names, active)


def conf_came(names: Sequence[str], hostvars: Mapping[str, Any]) -> str:
    """Return what came of the site's slurm.conf on that host: C(merged), C(left) to the site, or an empty string."""
    return _outcome(serving_controller(names, hostvars), hostvars).word


def provable(names: Sequence[str], hostvars: Mapping[str, Any], here: str, check: bool) -> bool:
    """Return whether the REST host ``here`` can be proven to work by now."""
    served = (hostvars[here].get("__slurmrestd_service_result") or {}).get("changed") or False
    return _outcome(serving_controller(names, hostvars), hostvars).provable(service_changed=served, check=check)


def _outcome(host: str, hostvars: Mapping[str, Any]) -> ConfOutcome:
    """What role slurm_conf has kept of a host."""
    if host not in hostvars:
        return ConfOutcome()
    known = hostvars[host]
    changed = (known.get("__slurm_conf_result") or {}).get("changed") or False
    return ConfOutcome("__slurm_conf_plan" in known, "__slurm_conf_pending" in known, changed)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file."""
        return {
            "conf_came": conf_came,
            "provable": provable,
            "serving_controller": serving_controller,
        }
