"""Several clusters behind one gateway: two sets of REST hosts, of which each is one to nginx."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.real.gateway.gate import Gate

SECOND = "cluster/second/slurm"
LOG = "/var/log/nginx/slurmrest-gateway.access.log"


@pytest.fixture(scope="module")
def both(gate: Gate) -> Iterator[Gate]:
    told = {
        "upstreams": ["127.0.0.1:6820"],
        "clusters": {"second": [f"{gate.hosts[-1]}:6820"]},
        "plain_acknowledged": True,
    }
    assert gate.play(**told).good().changed > 0
    assert gate.play(**told).good().changed == 0
    yield gate
    gate.play().good()
    assert gate.ask(gate.path("diag", SECOND), gate.who("alice")).status == 404


def last_line(gate: Gate) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gate.live.ssh(gate.node, f"tail -n 1 {LOG}"))
    return found


def test_each_path_leads_to_its_cluster(both: Gate) -> None:
    """What is kept of one cluster is not given for the other."""
    told = []
    for family in ("slurm", SECOND):
        answer = both.ask(both.path("diag", family), both.who("alice"))
        assert (answer.status, answer.cache) == (200, "MISS"), answer.body
        told.append(last_line(both))
    sys.stdout.write(f"{[(line['path'], line['host']) for line in told]}\n")
    assert told[0]["host"] == "127.0.0.1:6820"
    assert told[1]["host"] not in ("", "127.0.0.1:6820")
    assert told[1]["path"] == both.path("diag", SECOND)
    assert both.ask(both.path("diag", SECOND), both.who("alice")).cache in ("HIT", "UPDATING", "EXPIRED")
    assert both.ask(both.path("jobs", SECOND), both.who("alice")).status == 200
    assert both.ask("/cluster/second/openapi/v3", both.who("alice")).status == 200


def test_changes_arrive_there_and_belong_to_who_asked(both: Gate) -> None:
    answer = both.submit(both.who("alice"), "second", family=SECOND)
    assert answer.status == 200, answer.body
    job = answer.json()["job_id"]
    assert both.owner(job) == "alice"
    assert last_line(both)["host"] not in ("", "127.0.0.1:6820")
    assert both.ask(both.path(f"job/{job}", SECOND), both.who("alice"), "DELETE").status == 200


def test_what_is_escaped_arrives_as_it_was_sent(both: Gate) -> None:
    """Of both the same answer: a decoded path would be another one, with another error."""
    for name in ("a%2Fb", "a/b"):
        one, other = (both.ask(both.path(f"node/{name}", family), both.who("alice")) for family in ("slurm", SECOND))
        sys.stdout.write(f"node/{name}: {one.status}, {other.status}\n")
        assert one.status == other.status
    shown = both.ask(both.path("node/a%2Fb", SECOND), both.who("alice"))
    assert shown.status != both.ask(both.path("node/a/b", SECOND), both.who("alice")).status or b"a/b" in shown.body


def test_no_list_is_asked_for_by_the_path_of_something_else(both: Gate) -> None:
    """The limits are those of the way, which is chosen by the path as nginx decodes it."""
    other = both.path("job/1", SECOND).removeprefix("/cluster/second").replace("/", "%2F")
    answer = both.ask(f"/cluster/second{other}{both.path('jobs')}", both.who("alice"))
    assert answer.status == 404, answer.body


@pytest.mark.parametrize("path", ["/cluster/third/slurm/{}/diag", "/cluster/second/auth/session", "/cluster/second"])
def test_what_is_no_cluster_is_not_there(both: Gate, path: str) -> None:
    answer = both.ask(path.format(both.version), both.who("alice"))
    assert answer.status == 404
    assert answer.json()["errors"][0]["source"] == "gateway"


@pytest.mark.parametrize("family", ["slurm", SECOND])
def test_credentials_are_needed_for_each(both: Gate, family: str) -> None:
    assert both.ask(both.path("diag", family)).status == 401


def test_a_cluster_that_is_down_is_none_of_the_other_s_business(both: Gate) -> None:
    if len(both.hosts) < 2:
        pytest.skip("a cluster that stands has one REST host")
    both.live.ssh(both.hosts[1], "systemctl stop slurmrestd")
    try:
        fresh = {**both.who("alice"), "Cache-Control": "no-cache"}
        assert both.ask(both.path("diag", SECOND), fresh).status == 502
        assert both.ask(both.path("diag"), fresh).status == 200
    finally:
        both.live.ssh(both.hosts[1], "systemctl start slurmrestd")


@pytest.mark.parametrize(
    ("clusters", "said"),
    [
        ({"Second": ["127.0.0.1:6821"]}, "slurmrest_gateway_clusters"),
        ({"second": ["127.0.0.1:6820"]}, "one of the first cluster, too"),
        ({"second": ["far:6820"]}, "slurmrest_gateway_plain_acknowledged"),
    ],
    ids=str,
)
def test_clusters_that_cannot_be_meant_are_refused(both: Gate, clusters: dict[str, Any], said: str) -> None:
    refused = both.play(upstreams=["127.0.0.1:6820"], clusters=clusters, plain_acknowledged=False)
    assert refused.status != 0
    assert said in refused.output
    assert refused.changed == 0
