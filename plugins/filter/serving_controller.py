"""The filters that choose whom a run asks of several controllers (see module_utils/slurmrest/slurm/controllers.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


def serving_hostvars(names: Sequence[str], hostvars: Mapping[str, Any]) -> Any:
    """Return the variables of that host, as hostvars has them."""
    return hostvars[serving_controller(names, hostvars)]


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file."""
        return {"serving_controller": serving_controller, "serving_hostvars": serving_hostvars}
