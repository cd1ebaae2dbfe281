"""Filters that choose on which hosts anything is left to do (module_utils/slurmrest/transaction/left_out_hosts.py)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..module_utils.slurmrest.transaction.left_out_hosts import Remembered, conf_suffices, key_right, service_suffices
from ..module_utils.slurmrest.transaction.left_out_hosts import unsettled as choose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

EVIDENCE = "__slurm_common_evidence"
"""What the role slurm_common registers when it looks at a host."""


def unsettled(
    hosts: Sequence[str],
    hostvars: Mapping[str, Any],
    registered: str,
    behind: Iterable[str] = (),
    together: bool = False,
) -> list[str]:
    """Return the hosts of which it was not seen that nothing is left to do.

    All of them where the facts of one of those ``behind`` are not as they were seen then, and with ``together`` where
    it is one.
    """
    before = list(behind)
    known = {host: _known(hostvars[host], registered) for host in {*hosts, *before} if host in hostvars}
    return choose(hosts, known, time.time(), before, together=together)


def _known(variables: Mapping[str, Any], registered: str) -> Remembered:
    """What the variables of a host tell of it."""
    facts = (variables.get("ansible_facts") or {}).get("slurmrest") or {}
    sight = (variables.get(EVIDENCE) or {}).get("sight") or {}
    settled = (variables.get(registered) or {}).get("seen") or ""
    return Remembered(facts.get("digest") or "", sight.get("digest") or "", sight.get("at") or 0.0, settled)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file."""
        return {
            "conf_suffices": conf_suffices,
            "key_right": key_right,
            "service_suffices": service_suffices,
            "unsettled": unsettled,
        }
