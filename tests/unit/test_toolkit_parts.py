"""Parts of the command that talk to other programs, with those programs played."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock
from slurmrest.auth import bearer, jwt
from slurmrest.errors import InputError
from slurmrest.rest.client import ClientError, Credentials

from slurmrest_toolkit.clusters import liveness, rest, tokens
from slurmrest_toolkit.clusters.layouts import plan_nodes
from slurmrest_toolkit.clusters.state import Cluster
from slurmrest_toolkit.command import main
from slurmrest_toolkit.containers import engine as engines
from slurmrest_toolkit.containers import find, namespace, prerequisites, programs
from slurmrest_toolkit.containers.engine import Engine
from slurmrest_toolkit.containers.host import Host
from slurmrest_toolkit.images import base, carry
from slurmrest_toolkit.images.archive import WARM
from slurmrest_toolkit.support import locks, processes, session
from slurmrest_toolkit.support.errors import CannotRunError, ClusterFailedError
from slurmrest_toolkit.support.progress import Progress
from tests.unit.played_engine import PlayedEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Program = Callable[[str, str], Path]

AWKWARD = Host(root=True, cgroups="hybrid", can_raise_limits=False, pids_controller=False)


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # pytest keeps its own
    for module in (namespace, programs, base):
        monkeypatch.setattr(module, "runtime_directory", lambda: tmp_path)


@pytest.fixture(name="program")
def a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Put a shell script on PATH; what it is called with is a line in its log."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")

    def put(name: str, script: str) -> Path:
        (folder / name).write_text(f'#!/bin/sh\necho "$@" >>{folder}/{name}.log\n{script}\n', encoding="ascii")
        (folder / name).chmod(0o755)
        return folder / f"{name}.log"

    return put


@pytest.fixture(name="cluster")
def a_cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    nodes = plan_nodes("one", "split", 1)
    for number, node in enumerate(nodes):
        node.ssh_port, node.rest_port = 40000 + number, 40100 if node.name == "rest" else None
    made = Cluster("one", "24.11.5", "split", "podman", nodes, ready=True, api_versions=["v0.0.42"])
    made.save()
    monkeypatch.setattr(liveness, "engine_of", lambda *_: PlayedEngine())
    monkeypatch.setattr(liveness, "refresh", lambda one, _: {node.name: True for node in one.nodes})
    return made


# --- commands --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("cluster")
def test_logs_are_told_apart_by_node(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(liveness, "refresh", lambda one, _progress: {node.name: True for node in one.nodes})
    assert main.main(["cluster", "logs"]) == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith("==>")] == [
        f"==> {name} <==" for name in ("ctl", "db", "rest", "c1")
    ]
    assert main.main(["cluster", "logs", "db", "--unit", "slurmdbd"]) == 0
    assert "==>" not in capsys.readouterr().out
    assert main.main(["cluster", "logs", "nowhere"]) == 2


def test_logs_of_nodes_that_do_not_run_are_no_empty_ones(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    running = {node.name: node.name != "db" for node in cluster.nodes}
    monkeypatch.setattr(liveness, "refresh", lambda *_: running)
    assert main.main(["cluster", "logs"]) == 0
    printed = capsys.readouterr()
    assert "==> db <==" not in printed.out
    assert "db does not run" in printed.err
    assert main.main(["cluster", "logs", "db", "--output", str(tmp_path / "kept")]) == 1
    assert not (tmp_path / "kept").exists()


@pytest.mark.usefixtures("cluster")
def test_a_token_is_printed_or_written_for_its_owner_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main.main(["cluster", "token", "--user", "alice"]) == 0
    assert jwt.inspect(bearer.Token(capsys.readouterr().out.strip())).user == "alice"
    assert main.main(["cluster", "token", "--output", str(tmp_path / "token")]) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(("code", "told"), [(0, False), (1, True)])
def test_a_token_of_nobody_is_said_to_be_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, code: int, told: bool
) -> None:
    """Of a misspelt name, too, Slurm makes one."""
    run = PlayedEngine.run

    def looked_up(engine: PlayedEngine, *arguments: str, **more: Any) -> Any:
        if "id" in arguments:
            return CompletedProcess(arguments, code, "", "")
        return run(engine, *arguments, **more)

    monkeypatch.setattr(PlayedEngine, "run", looked_up)
    assert main.main(["cluster", "token", "--user", "alise"]) == 0
    printed = capsys.readouterr()
    assert jwt.inspect(bearer.Token(printed.out.strip())).user == "alise"
    assert ("slurmrest cluster user add --name one alise" in " ".join(printed.err.split())) is told


def test_curl_renews_a_token_and_passes_on_what_came_of_it(cluster: Cluster, program: Program) -> None:
    log = program("curl", 'case "$*" in *missing*) exit 22;; esac')
    assert main.main(["cluster", "curl", "--user", "alice", "diag"]) == 0
    assert tokens.usable(cluster, "alice")
    assert main.main(["cluster", "curl", "--user", "alice", "missing"]) == 1
    lines = log.read_text(encoding="ascii")
    assert "http://127.0.0.1:40100/slurm/v0.0.42/diag --fail-with-body" in lines
    assert tokens.token_file(cluster, "alice").read_text(encoding="ascii").strip() not in lines


def test_a_shell_becomes_ssh(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Replaced(Exception):
        """execvp does not come back."""

    seen: list[list[str]] = []

    def replace(_program: str, argv: list[str]) -> None:
        seen.append(argv)
        raise Replaced

    monkeypatch.setattr(os, "execvp", replace)
    running = {node.name: node.name != "db" for node in cluster.nodes}
    monkeypatch.setattr(liveness, "refresh", lambda *_: running)
    assert main.main(["cluster", "shell", "db"]) == 2
    assert "The node db of the cluster one does not run" in capsys.readouterr().err
    assert not seen
    with pytest.raises(Replaced):
        main.main(["cluster", "shell", "--user", "alice", "ctl", "--", "echo", "a b"])
    (argv,) = seen
    assert argv[:3] == ["ssh", "-F", str(cluster.directory / "ssh_config")]
    assert argv[-3:] == ["alice", "ctl", "echo 'a b'"]


def test_rotation_wants_a_yes(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["cluster", "rotate-key", "--name", cluster.name]) == 2
    assert "--yes" in capsys.readouterr().err


def test_prune_names_what_went(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    engine = PlayedEngine()
    engine.images[f"{WARM}:trixie-0-slurmd"] = {}
    monkeypatch.setattr(liveness, "engine_of", lambda *_: engine)
    assert main.main(["cluster", "prune"]) == 0
    assert f"removed {WARM}:trixie-0-slurmd" in capsys.readouterr().err


def test_what_is_not_there_is_not_saved_and_what_is_no_archive_not_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    engine = PlayedEngine()
    monkeypatch.setattr(liveness, "engine_of", lambda *_: engine)
    monkeypatch.setattr("slurmrest_toolkit.command.cluster.cache.find_engine", lambda *_, **__: engine)
    assert main.main(["cluster", "cache", "save", "--layout", "split", str(tmp_path / "file")]) == 2
    assert "There are no warm images" in capsys.readouterr().err
    assert main.main(["cluster", "cache", "load", str(tmp_path / "file")]) == 2
    monkeypatch.setattr(carry, "load", lambda *_: [])
    assert main.main(["cluster", "cache", "load", str(tmp_path / "file")]) == 0
    assert "nothing new" in capsys.readouterr().err
    monkeypatch.setattr(carry, "save", lambda _engine, _wanted, target: target.write_bytes(b"x" * 2_000_000))
    assert main.main(["cluster", "cache", "save", str(tmp_path / "file")]) == 0
    assert "2 MB" in capsys.readouterr().err


def test_down_wants_to_know_which_where_there_are_several(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    Cluster("two", "24.11.5", "single", "podman", plan_nodes("two", "single", 1)).save()
    assert main.main(["cluster", "down"]) == 2
    assert f"There: {cluster.name}, two." in capsys.readouterr().err


def test_an_interruption_is_an_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(_options: object) -> int:
        main.interrupted(signal.SIGTERM, None)

    monkeypatch.setattr("slurmrest_toolkit.command.doctor.run", interrupt)
    assert main.main(["doctor"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize(("words", "here"), [(["--here"], True), ([], True), (["--name", "one"], False)])
def test_the_doctor_looks_at_this_host_unless_there_is_a_cluster(
    monkeypatch: pytest.MonkeyPatch, words: list[str], here: bool
) -> None:
    looked: list[bool] = []

    def look(at_this_host: bool) -> Callable[..., int]:
        def run(*_: object) -> int:
            looked.append(at_this_host)
            return 0

        return run

    monkeypatch.setattr("slurmrest.doctor.command.run", look(True))
    monkeypatch.setattr("slurmrest_toolkit.command.doctor.run_on_cluster", look(False))
    assert main.main(["doctor", *words]) == 0
    assert looked == [here]


@pytest.mark.usefixtures("cluster")
def test_the_only_cluster_is_what_the_doctor_looks_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slurmrest_toolkit.command.doctor.run_on_cluster", lambda *_: 0)
    assert main.main(["doctor"]) == 0


# --- waiting ---------------------------------------------------------------------------------------------------------


class Response:
    text = "not yet"

    def __init__(self, status: int) -> None:
        # 201 stands for a 200 that has errors inside.
        self.status = min(status, 200) if status < 300 else status
        self.errors = [{"error": "no"}] if status == 201 else []

    def json(self) -> dict[str, Any]:
        return {"errors": self.errors}


def answers(*given: int | Exception) -> Callable[..., Response]:
    left: Iterator[int | Exception] = iter(given)

    def request(*_: Any, **__: Any) -> Response:
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return Response(answer)

    return request


def test_it_is_waited_for_both_families(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, credentials = PlayedEngine(), Credentials("root", bearer.Token("e30.e30.c2ln"))
    engine.failing.add("list-jobs")
    monkeypatch.setattr(rest, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(rest, "request", answers(ClientError("refused", "connect"), 503, 201, 200, 200))
    rest.wait_until_served(engine, cluster, credentials)
    monkeypatch.setattr(rest, "READY_SECONDS", 0.0)
    monkeypatch.setattr(rest, "request", answers(200, 500, 500))
    with pytest.raises(ClusterFailedError, match=r"/slurmdb/v0\.0\.\d+/diag is not served after [0-9]+ s: 500 not yet"):
        rest.wait_until_served(engine, cluster, credentials)


def test_a_bare_cluster_has_nothing_to_ask(cluster: Cluster) -> None:
    cluster.api_versions = []
    with pytest.raises(CannotRunError, match="no REST API"):
        rest.curl(PlayedEngine(), cluster, "diag", user="root", method=None, body=None)


# --- this host -------------------------------------------------------------------------------------------------------


def test_root_installs_what_is_missing_and_says_why(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    log = program("apt-get", "exit 0")
    programs.ensure_programs([], AWKWARD, Progress())
    assert not log.exists()
    os.environ["PATH"] = str(log.parent)
    search = {"mmdebstrap-missing": ("mmdebstrap",)}
    prerequisites.PACKAGES.update(search)
    prerequisites.PURPOSES["mmdebstrap-missing"] = "to build base images"
    try:
        programs.ensure_programs(["mmdebstrap-missing"], AWKWARD, Progress())
        assert "installing mmdebstrap with apt-get" in capsys.readouterr().err
        assert log.read_text(encoding="ascii").splitlines() == [
            "-qq update",
            "install --no-install-recommends mmdebstrap -qq -y",
        ]
        program("apt-get", "echo E: no such package; exit 100")
        with pytest.raises(CannotRunError, match="failed:\nE: no such package"):
            programs.ensure_programs(["mmdebstrap-missing"], AWKWARD, Progress())
        log.with_name("apt-get").unlink()
        with pytest.raises(CannotRunError, match="package manager"):
            programs.ensure_programs(["mmdebstrap-missing"], AWKWARD, Progress())
    finally:
        del prerequisites.PACKAGES["mmdebstrap-missing"], prerequisites.PURPOSES["mmdebstrap-missing"]


def test_an_awkward_host_gets_a_namespace_of_its_own(program: Program, tmp_path: Path) -> None:
    log = program("unshare", "exit 0")
    engine = namespace.awkward_podman(AWKWARD, Progress(quiet=True))
    handle = tmp_path / "cgroup2.namespace"
    assert engine.prefix == ("nsenter", f"--mount={handle}", "--")
    assert engine.environment == {"CONTAINERS_CONF": str(tmp_path / "containers.conf")}
    assert 'runtime = "runc"' in (tmp_path / "containers.conf").read_text(encoding="ascii")
    assert f"--mount={handle} --propagation slave" in log.read_text(encoding="ascii")
    program("umount", "exit 0")
    program("unshare", "echo not permitted >&2; exit 1")
    with pytest.raises(CannotRunError, match="No mount namespace with cgroup v2 could be made: not permitted"):
        namespace.awkward_podman(AWKWARD, Progress(quiet=True))
    limits = Host(root=True, cgroups="v2", can_raise_limits=False, pids_controller=True)
    assert namespace.awkward_podman(limits, Progress(quiet=True)).prefix == ()


def test_a_docker_whose_daemon_is_silent_is_not_taken(program: Program) -> None:
    ordinary = Host(root=True, cgroups="v2", can_raise_limits=True, pids_controller=True)
    program("docker", "exit 1")
    with pytest.raises(CannotRunError, match="does not answer"):
        find.find_engine("docker", ordinary, Progress(quiet=True), install=False)
    program("docker", "exit 0")
    assert find.find_engine("docker", ordinary, Progress(quiet=True), install=False).name == "docker"


def test_this_very_host_can_be_looked_at() -> None:
    here = Host.detect()
    assert here.root is (os.geteuid() == 0)
    assert here.cgroups in {"v2", "hybrid", "v1"}
    assert here.cgroups in here.describe()


# --- base images -----------------------------------------------------------------------------------------------------


def test_an_image_without_apt_is_refused() -> None:
    engine = PlayedEngine()
    engine.failing.add("command -v apt-get")
    with pytest.raises(CannotRunError, match=r"--image alpine has no apt-get"):
        base.ordinary_image(engine, Progress(quiet=True), "alpine", None)
    assert engine.started == {}


def test_an_image_of_another_series_is_refused() -> None:
    with pytest.raises(CannotRunError, match=r"but debian:13 offers 24\.11\.5-4"):
        base.ordinary_image(PlayedEngine(), Progress(quiet=True), "debian:13", "22.05")


# --- programs and locks ----------------------------------------------------------------------------------------------


def test_a_program_is_ended_with_everything_below_it(tmp_path: Path) -> None:
    script = f"echo $$ >{tmp_path}/pid; sleep 60 & wait"

    def begin_and_fail() -> None:
        with processes.started(["sh", "-c", script]):
            while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text(encoding="ascii"):
                time.sleep(0.01)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        begin_and_fail()
    assert not Path(f"/proc/{int((tmp_path / 'pid').read_text(encoding='ascii'))}").exists()


def test_a_program_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.2)
    script = f"trap '' TERM; : >{tmp_path}/ready; while :; do sleep 0.05; done"
    with processes.started(["sh", "-c", script]) as process:
        while not (tmp_path / "ready").exists():
            time.sleep(0.01)
        processes.stop(process)
    assert process.returncode == -signal.SIGKILL


def test_output_and_environment_of_a_program() -> None:
    done = processes.run([sys.executable, "-c", "import os; print(os.environ['OURS'])"], environment={"OURS": "yes"})
    assert (done.returncode, done.stdout) == (0, "yes\n")


def test_one_waits_for_another_and_says_so(tmp_path: Path) -> None:
    held = FileLock(tmp_path / "lock")
    held.acquire()
    said: list[str] = []

    def waiting() -> None:
        said.append("waiting")
        held.release()

    with locks.locked(tmp_path / "lock", waiting=waiting) as ours:
        assert ours
    assert said == ["waiting"]


@pytest.mark.parametrize("there", [True, False])
def test_where_things_of_a_user_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, there: bool) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(session, "directory", lambda: tmp_path / "run" if there else None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert locks.runtime_directory() == tmp_path / ("run" if there else "cache") / "slurmrest"
    assert locks.runtime_directory().stat().st_mode & 0o777 == 0o700
    monkeypatch.delenv("SLURMREST_STATE_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert locks.state_directory() == tmp_path / "state" / "slurmrest"


def test_phases_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Progress()
    monkeypatch.setattr(progress.console, "_force_terminal", True)
    progress.phase("image", "base [image]")
    progress.update("building")
    progress.quote(["somebody's [words]"])
    progress.fail("no")
    assert (progress.current, dict(progress.timings)) == ("image", {})
    progress.finish()
    assert list(progress.timings) == ["image"]


def test_ports_that_are_not_on_loopback_are_none_of_ours() -> None:
    class Open(PlayedEngine):
        def _port(self, _words: Any, _text: str) -> str:
            return "22/tcp -> 0.0.0.0:22\n6820/tcp -> 127.0.0.1:40001\n"

    assert Open().ports("c") == {engines.REST_PORT: 40001}
    assert Engine("podman", ("a",)).argv("ps") == ["a", "podman", "ps"]


@pytest.mark.parametrize("user", ["root ", "-x"])
def test_a_name_that_is_none_is_refused_before_anything_runs(cluster: Cluster, user: str) -> None:
    engine = PlayedEngine()
    with pytest.raises(InputError, match="--user"):
        tokens.mint(engine, cluster, user, 60)
    assert engine.calls == []
