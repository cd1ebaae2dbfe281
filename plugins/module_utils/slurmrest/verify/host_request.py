"""What a host has to be told for its verification, by its facts: said on the controller, or where they were read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..slurm.ports import port_range
from ..slurm.version import columns_of
from ..slurmrestd.adoption import bound
from ..slurmrestd.unit_places import unit_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..slurm.version import Excerpt
    from ..slurmrestd.host_facts import LookFacts
    from .on_host import HostRequest


def told_of(
    facts: LookFacts, instance: str, urls: Sequence[str], accounting: bool | None, *, columns: Excerpt, table: Excerpt
) -> HostRequest:
    """What a host has to be told for its verification.

    Args:
        facts: of this host, as of now.
        instance: that of its unit, where it has several.
        urls: the listeners to ask; those of the unit where none is named.
        accounting: whether there is a slurmdbd; as slurm.conf says where that is None.
        columns: those of the facts (:data:`..facts.host.COLUMNS`).
        table: what a client has to know of releases (:mod:`..rest.answer_columns`).
    """
    conf, unit = facts["slurm_conf"], facts["unit"]
    listening = bound(entry["text"] for entry in unit["listeners"])
    port = str(conf["accounting_storage_port"])
    return {
        "urls": list(urls) or [listener.url for listener in listening],
        "unit": unit_names(instance)[0],
        "account": unit["user"] or "",
        "accounting": bool(conf["accounting"] if accounting is None else accounting),
        "slurmdbd": [(str(host), port) for host in conf["accounting_storage_hosts"] or ["localhost"]],
        "daemons": _serving(facts, columns),
        "table": table,
    }


def _serving(facts: LookFacts, columns: Excerpt) -> list[tuple[str, str, int]]:
    """The daemons that serve pages over HTTP themselves, where the release does: slurmctld, and a slurmd there."""
    if not (columns_of(columns, facts["version"]) or {}).get("daemon_http"):
        return []
    conf = facts["slurm_conf"]
    daemons = [("slurmctld", host, port_range(conf["slurmctld_port"])[0]) for host in conf["slurmctld_hosts"]]
    if facts["units"]["slurmd"]["active"] == "active":
        daemons.append(("slurmd", "127.0.0.1", port_range(conf["slurmd_port"])[0]))
    return daemons
