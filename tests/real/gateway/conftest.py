"""One cluster with two REST hosts and a gateway on the first of them, and two ordinary users."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slurmrest_toolkit.api import attach
from slurmrest_toolkit.clusters.gateway import describe
from tests.real.clusters import LiveCluster, live_cluster
from tests.real.gateway.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

KIND = ("--layout", "split", "--rest-hosts", "2", "--gateway")


@pytest.fixture(scope="session")
def gate(release: str, pytestconfig: pytest.Config) -> Iterator[Gate]:
    """The gateway as ``cluster up --gateway`` leaves it; with ``--cluster`` that of one that stands."""
    name = pytestconfig.getoption("--cluster")
    standing: AbstractContextManager[LiveCluster]
    standing = nullcontext(LiveCluster(name, release)) if name else live_cluster("real-gateway", release, *KIND)
    with standing as live:
        cluster = attach(live.name)
        if "bob" not in cluster.users:
            cluster.add_users("bob")
        told = describe(cluster.record)
        assert told is not None
        tokens = {user["name"]: Path(user["token"]).read_text().strip() for user in told["users"]}
        hosts = tuple(node.name for node in cluster.record.rest_nodes)
        controller = cluster.record.controller.name
        yield Gate(live, told["url"], told["ca_file"], tokens, cluster.api_versions[-1], controller, hosts)
