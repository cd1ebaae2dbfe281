"""A slurm.conf that is not the same on all hosts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .model import Cluster, Host, Rule, Sign
from .remedies import DEPLOY

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONF_ONLY_HERE = frozenset(("nodehostname", "include"))
_MAX_DIFFERENCES = 4
_SOUGHT = re.compile(
    r"(?i)\s*(?:slurmctld(?:host|port|addr)|control(?:machine|addr)|backup|accountingstorage(?:host|port))"
)
"""Keys that say where a daemon is."""

_SYMPTOMS = ("token-refused", "accounting-refused", "token-not-minted")


def _differences(cluster: Cluster) -> Iterator[Sign]:
    """slurm.conf must be the same everywhere; the primary controller's counts."""
    with_conf = [host for host in [*cluster.role("slurmctld"), *cluster.hosts] if host["confs"]["slurm_conf"]]
    if not with_conf:
        return
    primary = with_conf[0]
    if any("no_conf_hash" in str(line).lower() for line in _entries(primary)):
        return
    for host in {other.name: other for other in with_conf if other.name != primary.name}.values():
        # A controller may have its key elsewhere than the others.
        hidden = r"(?<=jwt_key=)[^,\s]+" if "slurmctld" in host.roles else "(?!)"
        ours, theirs = _entries(primary, hidden), _entries(host, hidden)
        lines = [f"{primary.name}: {ours[line]}: {line}" for line in ours if line not in theirs]
        lines += [f"{host.name}: {theirs[line]}: {line}" for line in theirs if line not in ours]
        if lines:
            elsewhere = any(map(_SOUGHT.match, ours.keys() ^ theirs.keys()))
            yield Sign(
                host.name,
                f"slurm.conf of {host.name} differs from that of {primary.name}.",
                [
                    *lines[:_MAX_DIFFERENCES],
                    *([f"and {len(lines) - _MAX_DIFFERENCES} more"] if lines[_MAX_DIFFERENCES:] else []),
                ],
                f"{DEPLOY} gives {host.name} the same slurm.conf where the inventory has slurm_conf_cluster_name; "
                f"where the file is the site's, copy it from {primary.name} and restart {host.rest_unit}.",
                explains=(*_SYMPTOMS, "daemon-unreached") if elsewhere else None,
            )


def _entries(host: Host, hidden: str = "(?!)") -> dict[str, str]:
    entries = host["confs"]["slurm_conf"]["entries"]
    return {re.sub(hidden, "…", item["line"]): item["origin"] for item in entries if item["key"] not in _CONF_ONLY_HERE}


RULES = (
    Rule(
        "configuration-differs",
        "slurm.conf is not the same on all hosts",
        "slurm.conf(5), DESCRIPTION; quickstart_admin.html, Configuration",
        _differences,
        explains=_SYMPTOMS,
        anywhere=True,
    ),
)
