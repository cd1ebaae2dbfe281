"""What a CI service asks of the command: users, keys of slurm.conf, how much is proven, reuse, logs in files, JSON."""

from __future__ import annotations

import json
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.errors import InputError
from slurmrest.verify.run import CHECKS

from slurmrest_toolkit.clusters import describe, lifecycle, liveness, users
from slurmrest_toolkit.clusters.lifecycle import Request
from slurmrest_toolkit.clusters.state import load
from slurmrest_toolkit.command import main
from slurmrest_toolkit.images.archive import WARM
from slurmrest_toolkit.support.errors import CannotRunError, ClusterFailedError
from slurmrest_toolkit.support.progress import Progress
from tests.unit.test_toolkit_whole import Stage, a_stage  # noqa: F401 - the fixture

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _with_its_engine(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(liveness, "engine_of", lambda *_: stage.engine)
    monkeypatch.setattr(liveness, "refresh", lambda cluster, _: {node.name: True for node in cluster.nodes})


@pytest.mark.parametrize("cache", [True, False])
def test_users_that_are_asked_for_are_there_at_the_end(stage: Stage, cache: bool) -> None:
    progress = stage.up("one", users=("bob", "carol"), cache=cache)
    assert list(progress.timings)[-1] == "users"
    found = load("one")
    assert found is not None
    assert list(describe.describe(found)["users"]) == ["root", "alice", "bob", "carol"]


@pytest.mark.parametrize(("level", "job", "idle"), [("full", True, 8), ("quick", False, 0)])
def test_how_much_is_proven(stage: Stage, level: str, job: bool, idle: int) -> None:
    stage.up("one", verify=level)
    assert {(proof["options"].job is not None, proof["options"].idle_clients) for proof in stage.proven} == {
        (job, idle)
    }
    asked = [[check.id for check in proof["checks"]] for proof in stage.proven]
    everything = [check.id for check in CHECKS]
    if level == "quick":
        assert asked == [everything]
    else:  # what waits for jobs is asked beside the others, and nothing but what it builds on twice
        beside = next(ids for ids in asked if "job" in ids)
        others = next(ids for ids in asked if "job" not in ids)
        assert beside == ["api-versions", "slurm-diag", "job", "job-output", "job-cancel", "idle-clients"]
        assert [*others, *beside[2:]] == everything


def test_nothing_is_proven_where_an_answer_is_enough(stage: Stage) -> None:
    stage.up("one", verify="none")
    found = load("one")
    assert stage.proven == []
    assert found is not None
    assert (found.verify, found.api_versions) == (None, ["v0.0.40", "v0.0.41", "v0.0.42"])


@pytest.mark.parametrize(("level", "fails"), [("full", True), ("quick", False)])
def test_a_check_that_is_skipped_is_a_failure_where_all_can_be_proven(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, level: str, fails: bool
) -> None:
    monkeypatch.setattr("slurmrest_toolkit.clusters.prove.render_table", lambda _: "")
    stage.report.checks[0].ok = None
    if fails:
        with pytest.raises(ClusterFailedError):
            stage.up("one", verify=level)
    else:
        stage.up("one", verify=level)


def test_keys_of_slurm_conf_win_and_make_images_of_their_own(stage: Stage) -> None:
    stage.up("one")
    stage.up("two", conf={"MaxArraySize": "7", "SchedulerParameters": "defer"})
    sets = {name.split("-")[2] for name in stage.engine.images if name.startswith(WARM)}
    assert len(sets) == 2
    found = load("two")
    assert found is not None
    inventory = (found.directory / "inventory" / "hosts.yml").read_text()
    assert "MaxArraySize: '7'" in inventory
    assert "SchedulerParameters: defer" in inventory
    stage.up("three", conf={"MaxArraySize": "7", "SchedulerParameters": "defer"})
    assert len({name.split("-")[2] for name in stage.engine.images if name.startswith(WARM)}) == 2


@pytest.mark.parametrize(
    "wanted",
    [
        {"users": ("Bob",)},
        {"users": ("alice",)},
        {"users": ("bob", "bob")},
        {"verify": "half"},
        {"patience": 0.0},
        {"patience": float("nan")},
        {"patience": float("inf")},
        {"conf": {"clustername": "x"}},
        {"conf": {"A B": "x"}},
        {"conf": {"MaxArraySize": "1\nAuthType=none"}},
        {"conf": {"MaxArraySize": ""}},
    ],
)
def test_what_is_refused_before_anything_is_started(stage: Stage, wanted: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        stage.up("one", **wanted)
    assert stage.engine.calls == []


def test_a_cluster_that_stands_is_taken_where_it_is_the_same(stage: Stage) -> None:
    stage.up("one", users=("bob",))
    started = len(stage.engine.told("run"))
    lifecycle.up(Request("one", reuse=True, users=("bob", "carol"), series="24.11"), Progress(quiet=True))
    assert len(stage.engine.told("run")) == started
    found = load("one")
    assert found is not None
    assert users.known(found) == ("root", "alice", "bob", "carol")
    with pytest.raises(CannotRunError, match="The cluster one stands and differs in --layout"):
        stage.up("one", reuse=True, layout="split")
    with pytest.raises(CannotRunError, match="differs in --slurm"):
        stage.up("one", reuse=True, series="22.05")
    with pytest.raises(CannotRunError, match="differs in --conf"):
        stage.up("one", reuse=True, conf={"MaxArraySize": "7"})
    with pytest.raises(CannotRunError, match="differs in --gateway"):
        stage.up("one", reuse=True, gateway=True)
    with pytest.raises(CannotRunError, match="differs in --capability"):
        stage.up("one", reuse=True, capabilities=("SYS_ADMIN",))


def test_reuse_starts_what_is_not_there(stage: Stage) -> None:
    stage.up("one", reuse=True)
    assert load("one") is not None


def test_another_process_is_waited_for_where_that_is_wanted(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.up("zero")
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with liveness.owned("one"):
            held.set()
            free.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(60)
    with pytest.raises(CannotRunError, match="Another process"):
        stage.up("one")
    told: list[str] = []

    def say(text: str) -> None:
        told.append(text)
        free.set()

    progress = Progress(quiet=True)
    monkeypatch.setattr(progress, "say", say)
    lifecycle.up(Request("one", wait=True), progress)
    holder.join()
    assert told[0] == "waiting for another process at work on one"


@pytest.mark.usefixtures("stage")
def test_up_takes_its_options_and_a_name_in_either_way(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--user", "bob", "--user", "carol", "--conf", "MaxArraySize=7", "--verify", "quick", "--json"]
    assert main.main(["cluster", "up", "one", *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], list(told["users"]), told["conf"]) == (
        "one",
        ["root", "alice", "bob", "carol"],
        {"MaxArraySize": "7"},
    )
    for how in (["one"], ["--name", "one"], ["one", "--name", "one"]):
        assert main.main(["cluster", "status", *how, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["name"] == "one"
    with pytest.raises(SystemExit):
        main.main(["cluster", "status", "one", "--name", "two"])
    assert main.main(["cluster", "up", "--user", "Bob", "--json"]) == 2


def test_an_error_is_an_object_where_json_is_wanted(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["cluster", "status", "nosuch", "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["exit_code"] == 2
    assert error["message"].startswith("There is no cluster called nosuch")
    assert error["remedy"] == "Start one: slurmrest cluster up --name nosuch"
    stage.engine.failing.add("run --detach")
    assert main.main(["cluster", "up", "one", "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["exit_code"], error["phase"]) == (1, "nodes")


def test_users_are_added_and_removed_by_the_command(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.up("one")
    assert main.main(["cluster", "user", "add", "--name", "one", "bob", "--json"]) == 0
    there = json.loads(capsys.readouterr().out)["users"]
    assert there["bob"]["token"].endswith("/clusters/one/token.bob")
    assert main.main(["cluster", "user", "add", "carol"]) == 0
    assert capsys.readouterr().out.startswith("carol  /")
    assert main.main(["cluster", "user", "remove", "bob"]) == 0
    assert main.main(["cluster", "user", "remove", "bob"]) == 2


def test_the_key_of_a_cache_is_that_of_the_images(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.up("one")
    (image,) = (name for name in stage.engine.images if name.startswith(WARM))
    assert main.main(["cluster", "cache", "key"]) == 0
    assert image.startswith(f"{WARM}:{capsys.readouterr().out.strip()}-")
    assert main.main(["cluster", "cache", "key", "--layout", "split"]) == 0
    assert capsys.readouterr().out.strip() not in image


def test_logs_go_into_files(stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage.up("one")
    target = tmp_path / "logs"
    assert main.main(["cluster", "logs", "--since", "10 min ago", "--output", str(target)]) == 0
    assert {file.name for file in target.iterdir()} == {"node1.journal", "ansible.log"}
    assert "error: it has troubles" in (target / "node1.journal").read_text()
    assert stage.engine.told("journalctl", "--since=10 min ago")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("failing", "words", "option"),
    [("systemctl cat", ["--unit", "nosuch"], "--unit"), ("--lines=0", ["--since", "never"], "--since")],
)
def test_logs_that_would_be_empty_for_a_slip_are_refused(
    stage: Stage, capsys: pytest.CaptureFixture[str], failing: str, words: list[str], option: str
) -> None:
    stage.up("one")
    stage.engine.failing.add(failing)
    assert main.main(["cluster", "logs", *words]) == 2
    assert option in capsys.readouterr().err
