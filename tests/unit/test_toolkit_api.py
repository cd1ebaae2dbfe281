"""What programs import: it costs nothing, and gives a cluster to use."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.auth import jwt

import slurmrest_toolkit
from slurmrest_toolkit.clusters import journals, lifecycle, liveness, remove, tokens
from slurmrest_toolkit.clusters.layouts import plan_nodes
from slurmrest_toolkit.clusters.state import Cluster

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = ("ansible", "yaml", "rich", "jinja2", "filelock", "argparse", "subprocess")


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(liveness, "engine_of", lambda *_: "engine")


def record(name: str = "one", **more: Any) -> Cluster:
    nodes = plan_nodes(name, "split", 2)
    for number, node in enumerate(nodes):
        node.ssh_port = 40000 + number
        node.rest_port = 40100 if "slurmrestd" in node.roles else None
    made = Cluster(name, "24.11.5", "split", "podman", nodes, **{"ready": True, **more})
    made.api_versions = ["v0.0.41", "v0.0.42"]
    made.save()
    for user in tokens.USERS:
        tokens.keep(made, user, jwt.encode(jwt.claims_for(user, 3600), jwt.Key(b"k" * 32)))
    return made


@pytest.fixture(name="requests")
def noted_requests(monkeypatch: pytest.MonkeyPatch) -> list[lifecycle.Request]:
    """Clusters that are started at once, and removed by removing their files."""
    seen: list[lifecycle.Request] = []

    def up(request: lifecycle.Request, _progress: object) -> Cluster:
        seen.append(request)
        return record(request.name)

    monkeypatch.setattr(lifecycle, "up", up)
    monkeypatch.setattr(remove, "down_one", lambda name, _progress: gone(name))
    return seen


def gone(name: str) -> None:
    import shutil  # noqa: PLC0415 - as the real one does

    shutil.rmtree(record(name).directory)


def test_importing_it_imports_no_library() -> None:
    words = f"import sys, slurmrest_toolkit; print([name for name in {HEAVY} if name in sys.modules])"
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", words], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.usefixtures("requests")
def test_a_gateway_has_an_address_and_who_vouches_for_it() -> None:
    with slurmrest_toolkit.start(slurm="24.11") as cluster:
        node = cluster.record.rest_node
        node.roles.append("slurmrest_gateway")
        node.gateway_port = 40200
        assert cluster.gateway == ("https://127.0.0.1:40200", cluster.directory / "gateway-ca.pem")


def test_a_cluster_is_there_within_the_block_and_gone_behind_it(requests: list[lifecycle.Request]) -> None:
    with slurmrest_toolkit.start(slurm="24.11", layout="split", nodes=2, capabilities=["SYS_ADMIN"]) as cluster:
        assert (cluster.version, cluster.release) == ("24.11.5", "24.11")
        assert cluster.url == "http://127.0.0.1:40100"
        assert cluster.urls == (cluster.url,)
        assert cluster.gateway is None
        assert cluster.api_versions == ("v0.0.41", "v0.0.42")
        assert cluster.directory.is_dir()
        assert cluster.describe()["name"] == cluster.name
        assert repr(cluster) == f"<cluster {cluster.name}: Slurm 24.11.5 at {cluster.url}>"
    assert not cluster.directory.exists()
    cluster.stop()  # it is gone: nothing to do
    (request,) = requests
    assert (request.series, request.layout, request.compute_nodes) == ("24.11", "split", 2)
    assert (request.capabilities, request.cache, request.bare) == (("SYS_ADMIN",), True, False)


def test_a_failing_block_removes_the_cluster_too(requests: list[lifecycle.Request]) -> None:
    with pytest.raises(ZeroDivisionError), slurmrest_toolkit.start("mine") as cluster:
        raise ZeroDivisionError
    assert [request.name for request in requests] == ["mine"]
    assert not cluster.directory.exists()


def test_clusters_without_a_name_do_not_meet(requests: list[lifecycle.Request]) -> None:
    slurmrest_toolkit.start()
    slurmrest_toolkit.start()
    assert len({request.name for request in requests}) == 2


def test_users_have_headers_and_files(monkeypatch: pytest.MonkeyPatch) -> None:
    made = record()
    monkeypatch.setattr(liveness, "refresh", lambda *_: {node.name: True for node in made.nodes})
    cluster = slurmrest_toolkit.attach()
    assert set(cluster.users) == {"root", "alice"}
    alice = cluster.users["alice"]
    assert alice.token() == alice.token_file.read_text().strip()
    assert alice.headers() == {"X-SLURM-USER-NAME": "alice", "X-SLURM-USER-TOKEN": alice.token()}
    assert "sesame" not in repr(alice)
    assert alice.token() not in repr(alice)


def test_a_token_that_is_about_to_end_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = record()
    old = jwt.encode({"sun": "alice", "exp": int(time.time()) + 5}, jwt.Key(b"k" * 32))
    new = jwt.encode(jwt.claims_for("alice", 3600), jwt.Key(b"k" * 32))
    tokens.keep(made, "alice", old)
    monkeypatch.setattr(liveness, "refresh", lambda *_: {})
    monkeypatch.setattr(tokens, "renew", lambda _engine, cluster, user: tokens.keep(cluster, user, new))
    assert slurmrest_toolkit.attach("one").users["alice"].token() == new.reveal()


def test_journals_of_all_nodes_or_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    record()
    monkeypatch.setattr(liveness, "refresh", lambda *_: {})
    monkeypatch.setattr(
        journals, "journal", lambda engine, node, units, since: f"{engine} {node.name} {len(units)} {since}\n"
    )
    cluster = slurmrest_toolkit.attach("one")
    assert cluster.logs("c1", ["slurmd"], since=3.5) == "engine c1 1 3.5\n"
    assert [line.split()[1] for line in cluster.logs().splitlines()] == ["ctl", "db", "rest", "c1", "c2"]
    with pytest.raises(slurmrest_toolkit.InputError, match="node1"):
        cluster.logs("node1")


@pytest.mark.parametrize(
    ("more", "runs", "words"),
    [
        ({"bare": True}, True, "no REST API"),
        ({"ready": False}, True, "no REST API"),
        ({}, False, "The cluster .*: stopped"),
    ],
)
def test_what_cannot_be_attached_to(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], runs: bool, words: str
) -> None:
    made = record(**more)
    monkeypatch.setattr(liveness, "refresh", lambda *_: {node.name: runs for node in made.nodes})
    with pytest.raises(slurmrest_toolkit.CannotRunError, match=words):
        slurmrest_toolkit.attach("one")
    with pytest.raises(slurmrest_toolkit.CannotRunError, match="no cluster called two"):
        slurmrest_toolkit.attach("two")
