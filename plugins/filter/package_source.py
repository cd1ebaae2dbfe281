"""The filter that decides where Slurm comes from (see module_utils/slurmrest/slurm/package_plan.py)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

from ..module_utils.slurmrest.errors import SlurmrestError
from ..module_utils.slurmrest.slurm.package_plan import decide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def package_source(
    source: str,
    components: Iterable[str],
    facts: Mapping[str, Any],
    hosts: Iterable[str] = (),
    hostvars: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the decision; AnsibleFilterError names the variable that is refused."""
    others = {host: (hostvars or {})[host].get("ansible_facts", {}).get("slurmrest", {}) for host in hosts}
    try:
        return asdict(
            decide(source, components, facts, {host: seen["packaging"] for host, seen in others.items() if seen})
        )
    except SlurmrestError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file."""
        return {"package_source": package_source}
