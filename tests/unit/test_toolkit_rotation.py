"""``slurmrest cluster rotate-key``: what it refuses, runs and renews."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.auth import jwt

from slurmrest_toolkit.ansible_runs import playbooks
from slurmrest_toolkit.clusters import liveness, rotation, tokens, users
from slurmrest_toolkit.clusters.layouts import plan_nodes
from slurmrest_toolkit.clusters.state import Cluster
from slurmrest_toolkit.support.errors import CannotRunError
from slurmrest_toolkit.support.progress import Progress
from tests.unit.played_engine import PlayedEngine

if TYPE_CHECKING:
    from pathlib import Path

MEASURED = {"changeover": 0.9, "gap": {"slurm": 0.2, "slurmdb": 0.7}, "requests": 99, "steps": {}, "proof": {}}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path))
    made = Cluster("one", "24.11.5", "single", "podman", plan_nodes("one", "single", 1), ready=True)
    made.save()
    return made


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    made: list[Any] = []

    def run(_inventory: Path, names: list[str], _log: Path, **options: Any) -> playbooks.Run:
        made.append((names, options["arguments"]))
        return playbooks.Run(reported={"rotation": MEASURED})

    monkeypatch.setattr(playbooks, "run", run)
    monkeypatch.setattr(liveness, "engine_of", lambda *_: None)
    monkeypatch.setattr(liveness, "refresh", lambda one, _: {node.name: True for node in one.nodes})
    monkeypatch.setattr(tokens, "renew", lambda _engine, _cluster, user: made.append(user))
    return made


def test_nothing_happens_unless_it_is_confirmed(cluster: Cluster, calls: list[Any]) -> None:
    with pytest.raises(CannotRunError, match=r"ends every token of the cluster one at once.*--yes"):
        rotation.rotate(cluster, Progress(), confirmed=False)
    cluster.bare = True
    with pytest.raises(CannotRunError, match="bare"):
        rotation.rotate(cluster, Progress(), confirmed=True)
    assert calls == []


def test_the_playbook_is_run_and_the_tokens_are_renewed(cluster: Cluster, calls: list[Any]) -> None:
    done = rotation.rotate(cluster, Progress(), confirmed=True)
    assert calls == [
        (["rotate_jwt_key.yml"], ["--extra-vars", '{"slurm_jwt_key_rotate_confirm": true}']),
        "root",
        "alice",
    ]
    assert done == {"repaired": None, "changeover": 0.9, "gap": MEASURED["gap"], "requests": 99}
    assert "0.9 s" in rotation.render(cluster, done)
    assert "/slurmdb 0.7 s" in rotation.render(cluster, done)


def test_tokens_of_all_who_have_one_are_renewed(cluster: Cluster, calls: list[Any]) -> None:
    """Of users that were added, and of an account that somebody asked as: those kept look good, and are refused."""
    token = jwt.encode(jwt.claims_for("any", 3600), jwt.Key(b"k" * 32))
    users.add(PlayedEngine(), cluster, ["bob"])
    for name in ("slurm", "x.y"):
        tokens.keep(cluster, name, token)
    rotation.rotate(cluster, Progress(), confirmed=True)
    assert calls[1:] == ["root", "alice", "bob", "slurm", "x.y"]


def test_a_cluster_that_stands_still_is_not_rotated(
    cluster: Cluster, calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "refresh", lambda *_: {"node1": False})
    with pytest.raises(CannotRunError, match="stopped"):
        rotation.rotate(cluster, Progress(), confirmed=True)
    assert calls == []


def test_what_was_repaired_is_told(cluster: Cluster) -> None:
    assert "was finished first" in rotation.render(cluster, {"repaired": "finished"})


def test_reports_of_modules_are_read_from_the_events() -> None:
    events = [
        '{"event": "task", "name": "a"}',
        '{"event": "result", "values": {"repaired": "undone"}}',
        '{"event": "result", "values": {"rotation": {"changeover": 1}}}',
        '{"event": "stats", "changed": 2, "failed": 0}',
    ]
    run = playbooks.follow(events, lambda _name: None, lambda _name: None)
    assert run.reported == {"repaired": "undone", "rotation": {"changeover": 1}}
    assert run.changed == 2
