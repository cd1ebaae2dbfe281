"""The filter that decides what a host may do with the site's files (see module_utils/slurmrest/merge/consent.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..module_utils.slurmrest.merge.consent import Merge
from .serving_controller import conf_came

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def merge_decision(
    plans: Mapping[str, Any], here: str, leader: str, hostvars: Mapping[str, Any], *, consent: bool, needed: bool
) -> dict[str, Any]:
    """Return what the host ``here`` may do, by the plans of all hosts of its play."""
    leads = leader or here
    own = plans[here]["parts"]
    led = hostvars[leads].get("__slurm_conf_plan") if leads in hostvars else None
    return Merge(
        own=own,
        everyone=[part for plan in plans.values() for part in plan["parts"]],
        leading=led["parts"] if led else own,
        elsewhere=leads not in plans,
        came=conf_came([leads], hostvars),
        consent=consent,
        needed=needed,
    ).as_dict()


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file."""
        return {"merge_decision": merge_decision}
