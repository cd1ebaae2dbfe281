"""The steps of a start: which ones, in which order, and what is left when one fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from slurmrest_toolkit.ansible_runs import playbooks
from slurmrest_toolkit.clusters import lifecycle, liveness, remove
from slurmrest_toolkit.clusters.journals import failure_directory
from slurmrest_toolkit.clusters.layouts import plan_nodes
from slurmrest_toolkit.clusters.lifecycle import Request, Start
from slurmrest_toolkit.clusters.state import Cluster, cluster_directory, load
from slurmrest_toolkit.containers.host import Host
from slurmrest_toolkit.images import packages, warm
from slurmrest_toolkit.images.recipes import Image
from slurmrest_toolkit.support.errors import CannotRunError, ClusterFailedError
from slurmrest_toolkit.support.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

    from slurmrest_toolkit.containers.engine import Container, Engine

HOST = Host(root=True, cgroups="v2", can_raise_limits=True, pids_controller=True)
KEPT = cast("warm.Kept", object())
WARM = ["start_kept", "serve"]


class Quiet:
    """An engine that has nothing, and notes what it is told to do."""

    name = "podman"

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def containers(self, _label: str) -> list[Container]:
        return []

    def networks(self, label: str) -> list[str]:
        return [f"net-{label}"] if self.calls else []

    def volumes(self, _label: str) -> list[str]:
        return []

    def remove_containers(self, _names: list[str]) -> None:
        self.calls.append(("removed",))

    def call(self, *words: str) -> str:
        self.calls.append(words)
        return ""

    def run(self, *words: str) -> Any:
        raise ClusterFailedError(f"no container {words}")

    @property
    def engine(self) -> Engine:
        return cast("Engine", self)


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path))


def beginning(request: Request, kept: warm.Kept | None = None) -> Start:
    cluster = Cluster(request.name, "", request.layout, "podman", plan_nodes(request.name, "single", 1))
    return Start(request, HOST, Quiet().engine, cluster, Progress(quiet=True), kept=kept)


def taken(start: Start, *, found_by_choose_base: bool = False) -> list[str]:
    names = []
    for step in lifecycle.steps(start):
        names.append(step.__name__)
        if step is lifecycle.choose_base and found_by_choose_base:
            start.kept = KEPT
    return names


def test_warm_images_are_started_from_at_once() -> None:
    assert taken(beginning(Request("one"), KEPT)) == WARM


def test_a_cold_start_deploys_keeps_and_starts_from_what_it_kept() -> None:
    assert taken(beginning(Request("one"))) == ["choose_base", "start_plain", "install", "deploy", "keep", *WARM]


def test_without_the_cache_the_nodes_that_were_deployed_to_are_proven() -> None:
    cold = ["choose_base", "start_plain", "install", "deploy", "prove_deployed"]
    assert taken(beginning(Request("one", cache=False))) == cold


def test_bare_nodes_stay_bare() -> None:
    assert taken(beginning(Request("one", bare=True))) == ["choose_base", "start_plain"]


def test_warm_images_of_an_ordinary_image_are_found_late() -> None:
    start = beginning(Request("one", image="debian:12"))
    assert taken(start, found_by_choose_base=True) == ["choose_base", *WARM]


@pytest.fixture(name="engine")
def a_host(monkeypatch: pytest.MonkeyPatch) -> Quiet:
    engine = Quiet()
    monkeypatch.setattr(lifecycle, "find_engine", lambda *_, **__: engine)
    monkeypatch.setattr(lifecycle, "find_kept", lambda *_: KEPT)
    return engine


def test_a_start_is_ready_and_timed_at_its_end(engine: Quiet, monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(start: Start) -> None:
        start.progress.phase("verify", "requests")
        start.cluster.verify = {"checks": []}

    monkeypatch.setattr(lifecycle, "start_kept", lambda start: start.progress.phase("nodes", "1 node"))
    monkeypatch.setattr(lifecycle, "serve", serve)
    cluster = lifecycle.up(Request("one", capabilities=("SYS_ADMIN",)), Progress(quiet=True))
    assert load("one") == cluster
    assert (cluster.ready, cluster.engine, cluster.capabilities) == (True, "podman", ["SYS_ADMIN"])
    assert list(cluster.timings) == ["host", "nodes", "verify", "job"]
    assert engine.calls == []


@pytest.mark.parametrize("keep", [False, True])
def test_a_step_that_fails_leaves_nothing_but_its_logs(
    engine: Quiet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], keep: bool
) -> None:
    def fail(start: Start) -> None:
        start.cluster.save()
        (start.cluster.directory / "logs").mkdir()
        (start.cluster.directory / "logs" / "ansible.log").write_text("its words", encoding="utf-8")
        raise ClusterFailedError("the node did not start")

    monkeypatch.setattr(lifecycle, "start_kept", fail)
    monkeypatch.setattr(remove, "show_journals", lambda *_: None)
    with pytest.raises(ClusterFailedError, match="the node did not start"):
        lifecycle.up(Request("one", keep_on_failure=keep), Progress())
    assert cluster_directory("one").exists() is keep
    assert (("removed",) in engine.calls) is not keep
    said = capsys.readouterr().err
    if keep:
        assert "remove it with: slurmrest cluster down one" in said
    else:
        log = failure_directory("one") / "ansible.log"
        assert log.read_text(encoding="utf-8") == "its words"
        assert str(log.parent) in said


def test_two_starts_of_one_name_do_not_meet(engine: Quiet) -> None:
    with liveness.owned("one"), pytest.raises(CannotRunError, match="Another process is working on the cluster one"):
        lifecycle.up(Request("one"), Progress(quiet=True))
    assert engine.calls == []


def test_packages_are_installed_and_kept_only_where_an_image_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stocked(Quiet):
        images: tuple[str, ...] = ()

        def image_labels(self, name: str) -> dict[str, str] | None:
            return {} if name in self.images else None

    engine, done = Stocked(), []
    start = beginning(Request("one"))
    start.engine, start.base = engine.engine, Image("localhost/slurmrest-base:trixie-0", "24.11.5-1")
    monkeypatch.setattr(lifecycle, "play", lambda _start, *words: done.append(words))
    monkeypatch.setattr(lifecycle, "learn_version", lambda *_: None)
    monkeypatch.setattr(packages, "keep_installed", lambda *words: done.append(words[3].name))
    lifecycle.install(start)
    name = lifecycle.installed(start)["node1"]
    assert done == [("--tags=slurm_packages",), name]
    engine.images = (name,)
    lifecycle.install(start)
    assert len(done) == 2


def test_an_index_past_its_date_has_its_option_also_where_the_base_image_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The base image was not built, so that nobody had asked the mirror before the playbooks did."""
    start = beginning(Request("one"))
    start.engine, start.base = Quiet().engine, Image("localhost/slurmrest-base:trixie-0", "24.11.5-1")
    words = [
        "node1: apt-get update: E: Release file for http://mirror.example/InRelease is expired (24d). E: no package"
    ]

    def play(*_of: object) -> None:
        raise playbooks.PlaybookFailedError(words[0], ["node1"])

    monkeypatch.setattr(lifecycle, "play", play)
    monkeypatch.setattr(lifecycle, "has", lambda *_of: False)
    with pytest.raises(CannotRunError, match=r"index of trixie .*--allow-stale-mirror"):
        lifecycle.install(start)
    words = ["node1: something else"]
    with pytest.raises(playbooks.PlaybookFailedError, match="something else"):
        lifecycle.install(start)
