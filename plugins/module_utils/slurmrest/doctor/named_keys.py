"""What is typed about a key that a configuration names. Pure.

slurm.conf is root's word, slurmdbd.conf SlurmUser's: who could name any file of the host there, for root to remove it
or give it to him.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .remedies import given, restart, word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .model import Cluster

ROLE = "`ansible-playbook playbooks/deploy.yml --tags slurm_jwt_key,slurm_conf`"
UNKNOWN = (
    "No slurm.conf names this key, only slurmdbd.conf, which is SlurmUser's, or a link leads there that is not root's: "
    "name the one that slurm.conf has, without a link, or see that this file is meant before anything of it is removed "
    "or given away."
)
ASKED = "where only slurmdbd.conf names the key, or a link leads there, which file is meant is the site's to say"


def of_root(cluster: Cluster, key: Mapping[str, Any]) -> bool:
    """Whether a slurm.conf names this key, and no link of another account leads there."""
    return not key.get("led") and key["path"] in (host.facts["slurm_conf"]["jwt_key_path"] for host in cluster.hosts)


def seen(key: Mapping[str, Any]) -> str:
    """A key as evidence."""
    if key["exists"]:
        return f"{key['path']}: uid {key['uid']}, gid {key['gid']}, mode {key['mode']:04o}, {key['size']} bytes"
    return (
        f"{key['path']} is a link to {key['link']}, which is not there"
        if key.get("link")
        else f"{key['path']} does not exist"
    )


def mended(cluster: Cluster, key: Mapping[str, Any], remedy: str) -> str:
    """A remedy with ``{path}``, ``{given}`` to its reader and ``{again}`` in it; for people where root named no key."""
    named, role = of_root(cluster, key), remedy.startswith(ROLE)
    if not named and not role:
        return UNKNOWN
    first = "`rm {path}`, then " if named and key.get("link") and not key["exists"] else ""
    again = restart(cluster, "slurmdbd", "slurmctld")
    given_away = given(key["path"], key["reader"], "0600")
    return (first + remedy).format(path=word(key["path"]), given=given_away, again=again)
