"""Warm images: what they are called, what they must not hold, how many stay."""

from __future__ import annotations

import base64
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from slurmrest.auth import jwt
from slurmrest.verify.run import CHECKS, Report, Result

from slurmrest_toolkit.clusters import prove
from slurmrest_toolkit.clusters.layouts import plan_nodes
from slurmrest_toolkit.clusters.state import Cluster, Machine, Node
from slurmrest_toolkit.images import archive, carry, packages, recipes, warm
from slurmrest_toolkit.images.base import BASE
from slurmrest_toolkit.images.packages import INSTALLED
from slurmrest_toolkit.images.recipes import VERSION_LABEL
from slurmrest_toolkit.support.errors import CannotRunError, ClusterFailedError
from tests.unit.played_engine import PlayedEngine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmrest.rest.session import Session
    from slurmrest.verify.check import Check

    from slurmrest_toolkit.containers.engine import Engine

BASE_IMAGE = f"{BASE}:trixie-0123456789ab"
SINGLE = ["slurmctld", "slurmdbd", "slurmrestd", "slurmd"]
MUNGE, JWT = "/etc/munge/munge.key", warm.JWT_KEY


class Store:
    """The images of an engine, newest first; those in use cannot be removed."""

    def __init__(self, *names: str, used: tuple[str, ...] = ()) -> None:
        self.names, self.used = list(names), used

    def tags(self, repository: str) -> list[str]:
        return [name.rpartition(":")[2] for name in self.names if name.startswith(f"{repository}:")]

    def remove_image(self, name: str) -> bool:
        if name in self.used:
            return False
        self.names.remove(name)
        return True

    def labels_of(self, names: list[str]) -> list[dict[str, str]] | None:
        if not set(names) <= set(self.names):
            return None
        sizes = {"slurmctld": f"{MUNGE}:1024,{JWT}:32", "slurmd": f"{MUNGE}:1024", "slurmrestd": ""}
        return [
            {
                VERSION_LABEL: "24.11.5",
                warm.MACHINE_LABEL: "cpus:4,memory:2048",
                warm.KEYS_LABEL: sizes.get(name.rpartition("-")[2], f"{JWT}:32"),
            }
            for name in names
        ]

    @property
    def engine(self) -> Engine:
        return cast("Engine", self)


@pytest.fixture(name="root")
def a_clone(tmp_path: Path) -> Path:
    for path in ("ansible.cfg", "playbooks/deploy.yml", "plugins/modules/jwt.py", "roles/a/tasks.yml"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("one", encoding="ascii")
    return tmp_path


def prefix(root: Path, base: str = BASE_IMAGE, layout: str = "single", compute_nodes: int = 1) -> str:
    return recipe(base, layout, compute_nodes, root).prefix


def recipe(base: str, layout: str, compute_nodes: int, root: Path, rest_hosts: int | None = None) -> warm.Recipe:
    return warm.recipe(base, layout, plan_nodes("any", layout, compute_nodes, rest_hosts), root)


def test_one_image_for_each_kind_of_node(root: Path) -> None:
    split = recipe(BASE_IMAGE, "split", 3, root)
    assert [name.rpartition("-")[2] for name in split.names] == ["slurmctld", "slurmdbd", "slurmrestd", "slurmd"]
    assert split.image(Node("c2", ["slurmd"], "c")) == split.image(Node("c3", ["slurmd"], "c"))
    assert all(name.startswith(f"{archive.WARM}:trixie-") for name in split.names)
    assert recipe(BASE_IMAGE, "single", 1, root).image(Node("node1", SINGLE, "c")).endswith("-" + ".".join(SINGLE))


@pytest.mark.parametrize("path", ["ansible.cfg", "playbooks/deploy.yml", "plugins/modules/jwt.py", "roles/a/tasks.yml"])
def test_images_are_made_anew_when_an_ingredient_changes(root: Path, path: str) -> None:
    before = prefix(root)
    assert prefix(root) == before
    (root / path).write_text("two", encoding="ascii")
    assert prefix(root) != before


def test_new_and_renamed_files_are_ingredients_and_caches_are_not(root: Path) -> None:
    seen = {prefix(root)}
    for cache in ("roles/a/__pycache__", "plugins/.mypy_cache/3.11", "plugins/module_utils/slurmrest/.ruff_cache"):
        (root / cache).mkdir(parents=True)
        (root / cache / "x.pyc").write_bytes(b"\xff")
    assert prefix(root) in seen
    assert packages.installed_name(recipes.Image(BASE_IMAGE, ""), SINGLE, root)
    (root / "roles/a/more.yml").write_text("x", encoding="ascii")
    seen.add(prefix(root))
    (root / "roles/a/more.yml").rename(root / "roles/a/other.yml")
    seen.add(prefix(root))
    assert len(seen) == 3


def test_base_layout_and_number_of_nodes_are_ingredients(root: Path) -> None:
    kinds = [
        prefix(root),
        prefix(root, base=f"{BASE}:trixie-ffffffffffff"),
        prefix(root, layout="split"),
        prefix(root, layout="split", compute_nodes=2),
    ]
    assert len(set(kinds)) == len(kinds)


def test_what_the_clone_really_reads_is_an_ingredient() -> None:
    files = list(recipes.sources(Path(__file__).resolve().parents[2], warm.INGREDIENTS))[::2]
    assert {"roles/slurm_conf/templates/slurm.conf.j2", "plugins/module_utils/slurmrest/errors.py"} <= set(files)


def test_a_set_is_found_only_when_complete(root: Path) -> None:
    wanted = recipe(BASE_IMAGE, "split", 1, root)
    assert warm.find(Store(*wanted.names[1:]).engine, wanted) is None
    found = warm.find(Store(*wanted.names).engine, wanted)
    assert found is not None
    assert (found.slurm_version, found.machine) == ("24.11.5", Machine(4, 2048))
    assert found.paths(Node("ctl", ["slurmctld"], "c")) == [MUNGE, JWT]
    assert found.paths(Node("rest", ["slurmrestd"], "c")) == []


def test_every_cluster_gets_keys_of_its_own_and_shows_none(root: Path) -> None:
    wanted = recipe(BASE_IMAGE, "split", 1, root)
    found = warm.find(Store(*wanted.names).engine, wanted)
    assert found is not None
    one, two = warm.Secrets.make(found), warm.Secrets.make(found)
    for path, size in ((MUNGE, 1024), (JWT, 32)):
        assert len(one.contents[path]) == size
        assert one.contents[path] != two.contents[path]
    assert repr(one) == "Secrets()"
    lines = one.lines(found.paths(Node("c1", ["slurmd"], "c")), "ssh-ed25519 AAAA\n").splitlines()
    assert [line.split()[0] for line in lines] == [MUNGE, warm.AUTHORIZED_KEYS]
    assert base64.b64decode(lines[0].split()[1]) == one.contents[MUNGE]


def test_tokens_are_signed_with_the_key_of_the_cluster() -> None:
    secrets = warm.Secrets({JWT: b"k" * 32})
    assert jwt.verify(secrets.token("alice", 60), jwt.Key(b"k" * 32)).user == "alice"


def test_sizes_survive_their_label() -> None:
    sizes = {MUNGE: 1024, JWT: 32}
    assert warm.read_sizes(warm.write_sizes(sizes)) == sizes
    assert warm.read_sizes(f"{MUNGE}:1024\n{JWT}:32\n") == sizes
    assert warm.read_sizes("") == {}


def converged(engine: PlayedEngine, name: str, machine: Machine) -> Cluster:
    made = Cluster(name, "24.11.5", "split", "podman", plan_nodes(name, "split", 1), machine)
    engine.networks_there.append(made.network)
    engine.started.update({node.container: "base" for node in made.nodes})
    return made


def test_of_two_starts_of_one_kind_the_second_takes_no_name_from_the_images_of_the_first(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would stay for ever, and no command would find them."""
    monkeypatch.setattr(warm, "runtime_directory", lambda: root)
    engine, wanted = PlayedEngine(), recipe(BASE_IMAGE, "split", 1, root)
    first = warm.keep(engine, converged(engine, "one", Machine(4, 2048)), wanted)
    second = warm.keep(engine, converged(engine, "two", Machine(2, 1024)), wanted)
    assert second == first
    assert [call[-1] for call in engine.told("commit")] == wanted.names
    assert (engine.started, engine.networks_there) == ({}, [])


def test_a_set_that_is_not_whole_goes_before_another_takes_its_name(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "runtime_directory", lambda: root)
    engine, wanted = PlayedEngine(), recipe(BASE_IMAGE, "split", 1, root)
    engine.images[wanted.names[0]] = {}
    warm.keep(engine, converged(engine, "one", Machine(4, 2048)), wanted)
    words = [call[0] for call in engine.calls if wanted.names[0] in call and call[0] in {"rmi", "commit"}]
    assert words == ["rmi", "commit"]
    assert warm.find(engine, wanted) is not None


def test_only_the_newest_sets_stay_and_those_in_use() -> None:
    sets = [f"trixie-{number:012d}-" for number in range(warm.SETS_KEPT + 2)]
    names = [f"{archive.WARM}:{prefix}{role}" for prefix in sets for role in ("slurmctld", "slurmd")]
    store = Store(*names, used=(names[-1],))
    warm.forget_old_sets(store.engine, sets[0])
    assert store.names == [*names[: 2 * warm.SETS_KEPT], names[-1]]


def test_prune_leaves_what_takes_the_network_to_build() -> None:
    kept = (f"{INSTALLED}:a", f"{BASE}:b")
    store = Store(f"{archive.WARM}:x", *kept)
    assert carry.prune(store.engine, everything=False) == [f"{archive.WARM}:x"]
    assert store.names == list(kept)
    assert carry.prune(store.engine, everything=True) == list(kept)


class Archive(Store):
    """An engine whose ``save`` is another program."""

    name, program = "podman", "printf images"

    def argv(self, *_arguments: str) -> list[str]:
        return ["sh", "-c", self.program]

    def environ(self) -> dict[str, str]:
        return {}


def test_an_archive_is_written_whole_or_not_at_all(root: Path, tmp_path: Path) -> None:
    wanted = recipe(BASE_IMAGE, "single", 1, root)
    target = tmp_path / "out" / "cache"
    target.parent.mkdir()
    with pytest.raises(CannotRunError, match="no warm images"):
        carry.save(Archive().engine, wanted, target)
    store = Archive(*wanted.names)
    carry.save(store.engine, wanted, target)
    assert target.stat().st_size > 0
    written = target.read_bytes()
    store.program = "printf half; exit 3"
    with pytest.raises(ClusterFailedError, match="podman save: 3"):
        carry.save(store.engine, wanted, target)
    assert target.read_bytes() == written
    assert list(target.parent.iterdir()) == [target]


def test_the_job_is_told_apart_from_the_requests() -> None:
    assert prove.tell_job_apart({"nodes": 1.0, "verify": 2.0}, 1.5) == {"nodes": 1.0, "verify": 0.5, "job": 1.5}
    assert prove.tell_job_apart({"nodes": 1.0}, 0.0) == {"nodes": 1.0}


def test_jobs_are_waited_for_beside_the_other_checks_and_all_is_one_report() -> None:
    others_asked = threading.Event()

    def ask(checks: Sequence[Check]) -> Report:
        ids = [check.id for check in checks]
        if "job" in ids:
            session = cast("Session", SimpleNamespace(api_version=None))
            assert checks[0].run(session).ok
            assert session.api_version == "v0.0.42"  # without asking for the document again
            assert others_asked.wait(10)  # would not end if the others came after it
            time.sleep(0.05)
        else:
            others_asked.set()
        results = tuple(Result(name, "", True, 0.1, "", "", "") for name in ids)
        return Report("http://x", "24.11.5", ("v0.0.42",), "v0.0.42", results, 1.0, 1, warnings=("busy",))

    report, waited = prove.both(ask, "v0.0.42")
    assert [result.id for result in report.checks] == [check.id for check in CHECKS]
    assert report.warnings == ("busy",)
    assert 0.04 < waited < 5
