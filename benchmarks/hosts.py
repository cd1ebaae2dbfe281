"""The second deploy.yml on 1, 5 and 20 hosts: the same cluster with more and more hosts that serve REST."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks import commands
from benchmarks.commands import MeasurementError
from benchmarks.results import ROOT, rounds
from slurmrest_toolkit.clusters import lifecycle, liveness
from slurmrest_toolkit.clusters.layouts import plan_nodes
from slurmrest_toolkit.clusters.state import Cluster, Node
from slurmrest_toolkit.containers.host import Host
from slurmrest_toolkit.images import base, warm
from slurmrest_toolkit.support.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.results import Record
    from slurmrest_toolkit.containers.engine import Engine

SIZES = {1: "bench-1", 5: "bench-5", 20: "bench-20"}


def measure(engine: Engine, records: Mapping[str, Record], count: int, deadline: float) -> None:
    """Measure deployments of all sizes in turns, release by release; all containers share the processors."""
    for left, (release, record) in zip(range(len(records), 0, -1), records.items(), strict=True):
        now = time.monotonic()
        until = now + (deadline - now) / left
        try:
            commands.down(engine, *SIZES.values())
            commands.up(release, name=SIZES[1])
            for hosts in list(SIZES)[1:]:
                bring_up(engine, release, hosts)
            for _ in rounds(count, until):
                record.listen()
                for hosts, cluster in SIZES.items():
                    profile = commands.second_deployment(cluster)
                    name = f"second deploy.yml, {hosts} host{'s' if hosts > 1 else ''}"
                    record.add(name, profile.seconds)
                    record.add(f"{name}: processor time", profile.controller + profile.nodes)
            record.finish()
        finally:
            commands.down(engine, *SIZES.values())


def planned(hosts: int) -> list[Node]:
    """Return the nodes of a cluster with so many hosts that deploy.yml deploys to: two of them do not serve REST."""
    name = SIZES[hosts]
    more = [f"rest{number}" for number in range(2, hosts - 1)]
    return [*plan_nodes(name, "split", 2), *(Node(node, ["slurmrestd"], f"slurmrest-{name}-{node}") for node in more)]


def bring_up(engine: Engine, release: str, hosts: int) -> None:
    """Start a cluster with many REST hosts from warm images.

    Raises:
        MeasurementError: the images are gone.
    """
    found = warm.find(engine, warm.recipe(base.suite_name(release), "split", plan_nodes("any", "split", 2), ROOT))
    if found is None:
        raise MeasurementError(f"There are no warm images of a split cluster of {release}.")
    cluster = Cluster(SIZES[hosts], "", "split", engine.name, planned(hosts))
    with liveness.owned(cluster.name):
        request = lifecycle.Request(cluster.name, release, "split", 2, allow_stale=True)
        lifecycle.Start(request, Host.detect(), engine, cluster, Progress(), kept=found).run()
        cluster.ready = True
        cluster.save()
