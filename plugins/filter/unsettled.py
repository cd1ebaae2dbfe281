"""The filter that chooses on which hosts anything is left to do, by what a run has seen of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    left = [host for host in hosts if not _settled(hostvars, host, registered)]
    return list(hosts) if (together and left) or not all(_same(hostvars, host) for host in behind) else left


def _digest(hostvars: Mapping[str, Any], host: str) -> str:
    """The digest of a host's facts as of now; empty where there are none."""
    facts = (hostvars[host].get("ansible_facts") or {}).get("slurmrest") if host in hostvars else None
    return str(facts["digest"]) if facts else ""


def _settled(hostvars: Mapping[str, Any], host: str, registered: str) -> bool:
    digest = _digest(hostvars, host)
    return bool(digest) and (hostvars[host].get(registered) or {}).get("seen") == digest


def _same(hostvars: Mapping[str, Any], host: str) -> bool:
    digest = _digest(hostvars, host)
    evidence = (hostvars[host].get(EVIDENCE) or {}) if digest else {}
    return bool(digest) and (evidence.get("sight") or {}).get("digest") == digest


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file."""
        return {"unsettled": unsettled}
