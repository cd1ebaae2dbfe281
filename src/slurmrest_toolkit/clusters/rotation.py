"""A new JWT key for a test cluster: the shipped playbook, then new tokens in the cluster's directory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from slurmrest_toolkit.ansible_runs import playbooks
from slurmrest_toolkit.clusters import liveness, tokens, users
from slurmrest_toolkit.support.errors import CannotRunError

if TYPE_CHECKING:
    from slurmrest_toolkit.clusters.state import Cluster
    from slurmrest_toolkit.support.progress import Progress

PLAYBOOK = "rotate_jwt_key.yml"
CONFIRMED = {"slurm_jwt_key_rotate_confirm": True}


def rotate(cluster: Cluster, progress: Progress, *, confirmed: bool) -> dict[str, Any]:
    """Rotate the key and renew the kept tokens.

    Returns:
        ``repaired`` ("undone" or "finished" where an interrupted run had left something), and unless that was only
        finished, ``gap`` and ``changeover`` in seconds, as the REST host measured them.

    Raises:
        CannotRunError: it was not confirmed, the cluster has no Slurm, or a node does not run.
        PlaybookFailedError: the rotation failed; the message says which key is in force.
    """
    if cluster.bare:
        raise CannotRunError(f"The cluster {cluster.name} is bare: it has no key.")
    if not confirmed:
        raise CannotRunError(
            f"A new key ends every token of the cluster {cluster.name} at once.", "Say that you want this: --yes"
        )
    with liveness.owned(cluster.name):
        liveness.require(cluster, progress)
        progress.phase("rotate", f"playbooks/{PLAYBOOK}")
        run = playbooks.run(
            cluster.directory / "inventory" / "hosts.yml",
            [PLAYBOOK],
            cluster.directory / "logs" / "ansible.log",
            arguments=["--extra-vars", json.dumps(CONFIRMED)],
            on_playbook=lambda _name: None,
            on_task=progress.update,
        )
        progress.phase("tokens", "new tokens of the cluster's users")
        engine = liveness.engine_of(cluster, progress)
        for user in dict.fromkeys((*users.known(cluster), *tokens.kept(cluster))):
            tokens.renew(engine, cluster, user)
        progress.stop()
    rotation = run.reported.get("rotation") or {}
    measured = {key: rotation[key] for key in ("changeover", "gap", "requests") if key in rotation}
    return {"repaired": run.reported.get("repaired"), **measured}


def render(cluster: Cluster, done: dict[str, Any]) -> str:
    """Return what a person wants to know."""
    lines = [f"The cluster {cluster.name} has a new JWT key; tokens made before are refused."]
    if done["repaired"]:
        lines.append(f"An interrupted rotation was {done['repaired']} first.")
    if done.get("changeover") is not None:
        gaps = ", ".join(f"/{name} {seconds} s" for name, seconds in done["gap"].items())
        lines.append(
            f"From the last answer to the old token to the first to the new one: {done['changeover']} s; "
            f"longest time without an accepted token: {gaps}."
        )
    return "\n".join(lines)
