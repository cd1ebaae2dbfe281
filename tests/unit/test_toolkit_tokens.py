"""Tokens: asked of the controller, kept privately, renewed in time."""

from __future__ import annotations

import stat
import time
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, cast

import jwt as pyjwt
import pytest
from slurmrest.errors import InputError

from slurmrest_toolkit.clusters import tokens
from slurmrest_toolkit.clusters.state import Cluster, Node
from slurmrest_toolkit.support.errors import ClusterFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from slurmrest_toolkit.containers.engine import Engine

KEY = "k" * 32


class Controller:
    """An engine whose scontrol says what it is told to, and notes how it was called."""

    def __init__(self, stdout: str, code: int = 0) -> None:
        self.stdout, self.code = stdout, code
        self.calls: list[tuple[str, ...]] = []

    def run(self, *arguments: str) -> CompletedProcess[str]:
        self.calls.append(arguments)
        return CompletedProcess(arguments, self.code, self.stdout, "scontrol: error: Invalid user id\n")


def engine(stdout: str, code: int = 0) -> Engine:
    return cast("Engine", Controller(stdout, code))


@pytest.fixture(name="cluster")
def a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path))
    return Cluster("one", "24.11.5", "single", "podman", [Node("node1", ["slurmctld"], "slurmrest-one-node1")])


def signed(expires: float) -> str:
    return pyjwt.encode({"sun": "alice", "exp": int(expires)}, KEY, "HS256")


def test_kept_token_is_private_and_renewed_before_it_expires(cluster: Cluster) -> None:
    now = time.time()
    assert not tokens.usable(cluster, "alice")
    value = signed(now + 3600)
    controller = Controller(f"SLURM_JWT={value}\n")
    assert tokens.renew(cast("Engine", controller), cluster, "alice").reveal() == value
    (call,) = controller.calls
    assert call[:2] == ("exec", "slurmrest-one-node1")
    assert call[-2:] == ("username=alice", f"lifespan={tokens.KEPT_LIFESPAN}")
    assert value not in " ".join(call)
    for file in (tokens.token_file(cluster, "alice"), tokens.header_file(cluster, "alice")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert tokens.token_file(cluster, "alice").read_text(encoding="ascii") == f"{value}\n"
    assert tokens.header_file(cluster, "alice").read_text(encoding="ascii") == (
        f"X-SLURM-USER-NAME: alice\nX-SLURM-USER-TOKEN: {value}\n"
    )
    assert tokens.usable(cluster, "alice", now)
    assert not tokens.usable(cluster, "alice", now + 3590)


@pytest.mark.parametrize("user", ["", "-x", "a b", "a=b", "../a", "a\n"])
def test_names_that_are_none_are_refused(cluster: Cluster, user: str) -> None:
    with pytest.raises(InputError, match="--user"):
        tokens.mint(engine(""), cluster, user, 60)


@pytest.mark.parametrize("lifespan", [0, -1])
def test_lifespan_is_positive(cluster: Cluster, lifespan: int) -> None:
    with pytest.raises(InputError, match="--lifespan"):
        tokens.mint(engine(""), cluster, "alice", lifespan)


def test_a_controller_that_is_gone_is_passed_over(cluster: Cluster) -> None:
    value = signed(time.time() + 3600)

    class OneGone(Controller):
        def run(self, *arguments: str) -> CompletedProcess[str]:
            if arguments[1] == "slurmrest-one-node1":
                self.calls.append(arguments)
                return CompletedProcess(arguments, 125, "", "container is not running")
            return super().run(*arguments)

    cluster.nodes.append(Node("node2", ["slurmctld"], "slurmrest-one-node2"))
    controller = OneGone(f"SLURM_JWT={value}\n")
    assert tokens.mint(cast("Engine", controller), cluster, "alice", 60).reveal() == value
    assert [call[1] for call in controller.calls] == ["slurmrest-one-node1", "slurmrest-one-node2"]


def test_refusal_by_scontrol_is_shown(cluster: Cluster) -> None:
    with pytest.raises(ClusterFailedError, match="no token for alice: scontrol: error: Invalid user id"):
        tokens.mint(engine("", 1), cluster, "alice", 60)
