"""The layouts of test clusters: which nodes each has, and what runs on them."""

from __future__ import annotations

from slurmrest.errors import InputError

from slurmrest_toolkit.clusters.state import GATEWAY, Node

LAYOUTS = ("single", "split", "ha")

MOST_COMPUTE_NODES = 64
MOST_REST_HOSTS = 16

_NODES_BEHIND_REST = {
    "split": {"ctl": ["slurmctld"], "db": ["slurmdbd"]},
    "ha": {"ctl1": ["slurmctld"], "ctl2": ["slurmctld"], "db": ["slurmdbd", "slurmd"]},
}
"""By layout, the nodes behind its REST hosts, but for compute nodes that are nothing else."""


def plan_nodes(
    cluster: str, layout: str, compute_nodes: int, rest_hosts: int | None = None, *, gateway: bool = False
) -> list[Node]:
    """Return the nodes of a layout.

    Args:
        cluster: the cluster's name.
        layout: ``single`` (everything on one node), ``split`` (controller, database, REST hosts, compute nodes), or
            ``ha`` (two controllers that share their state, REST hosts, and one node of the database and of jobs).
        compute_nodes: number of compute nodes; ``single`` and ``ha`` have one.
        rest_hosts: number of REST hosts; None is two for ``ha`` and otherwise one.
        gateway: whether the first of them is a gateway with TLS for all.

    Raises:
        InputError: the layout is unknown, or a number does not go with it.
    """
    if layout not in LAYOUTS:
        raise InputError("--layout", layout, " or ".join(LAYOUTS))
    if layout != "split" and compute_nodes != 1:
        raise InputError("--nodes", compute_nodes, f"1 with --layout {layout}", remedy="Use --layout split.")
    if not 1 <= compute_nodes <= MOST_COMPUTE_NODES:
        raise InputError("--nodes", compute_nodes, f"1 to {MOST_COMPUTE_NODES}")
    if layout == "single":
        if rest_hosts not in {None, 1}:
            raise InputError("--rest-hosts", rest_hosts, "1 with --layout single", remedy="Use --layout split.")
        roles = {"node1": ["slurmctld", "slurmdbd", "slurmrestd", "slurmd"]}
    else:
        roles = {**_NODES_BEHIND_REST[layout], **rest_roles(layout, rest_hosts)}
        if layout == "split":
            roles |= {f"c{number}": ["slurmd"] for number in range(1, compute_nodes + 1)}
    if gateway:
        first = next(name for name, groups in roles.items() if "slurmrestd" in groups)
        roles[first] = [*roles[first], GATEWAY]
    return [Node(name, groups, f"slurmrest-{cluster}-{name}") for name, groups in roles.items()]


def rest_roles(layout: str, count: int | None) -> dict[str, list[str]]:
    """Return the REST hosts of a layout: ``rest`` where it has one by default, otherwise ``rest1`` and so on.

    Raises:
        InputError: so many are not started.
    """
    if count is not None and not 1 <= count <= MOST_REST_HOSTS:
        raise InputError("--rest-hosts", count, f"1 to {MOST_REST_HOSTS}")
    if layout == "split" and count in {None, 1}:
        return {"rest": ["slurmrestd"]}
    return {f"rest{number}": ["slurmrestd"] for number in range(1, (count or 2) + 1)}
