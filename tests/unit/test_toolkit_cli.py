"""The command line: exit codes, what is printed where."""

from __future__ import annotations

import json
import shlex
import signal
from typing import TYPE_CHECKING

import pytest

from slurmrest_toolkit.clusters import describe, lifecycle, liveness
from slurmrest_toolkit.clusters.layouts import plan_nodes
from slurmrest_toolkit.clusters.state import Cluster, write_private
from slurmrest_toolkit.clusters.tokens import header_file
from slurmrest_toolkit.command import main
from slurmrest_toolkit.support.errors import CannotRunError, ClusterFailedError
from slurmrest_toolkit.support.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # pytest keeps its own


def cluster(name: str = "one") -> Cluster:
    nodes = plan_nodes(name, "single", 1)
    nodes[0].ssh_port, nodes[0].rest_port = 40001, 40002
    made = Cluster(name, "24.11.5", "single", "podman", nodes, ready=True, api_versions=["v0.0.41", "v0.0.42"])
    made.timings = {"image": 20.0, "nodes": 1.25}
    made.save()
    write_private(header_file(made, "root"), "X-SLURM-USER-TOKEN: sesame\n")
    return made


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (CannotRunError("no"), 2),
        (ClusterFailedError("no"), 1),
    ],
)
def test_errors_end_in_their_exit_codes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int
) -> None:
    def up(_request: lifecycle.Request, progress: Progress) -> Cluster:
        progress.phase("image", "base image")
        raise error

    monkeypatch.setattr(lifecycle, "up", up)
    assert main.main(["cluster", "up"]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert ("image failed: " in printed.err) is (code != 2)


@pytest.mark.parametrize(
    "arguments",
    [
        ["up", "--name", "Bad_Name"],
        ["up", "--nodes", "2"],
        ["up", "--layout", "split", "--nodes", "0"],
        ["token", "--name", "none"],
        ["curl", "diag"],
        ["shell", "node1"],
        ["down"],
        ["down", "--all", "one"],
        ["down", "../one"],
    ],
)
def test_what_cannot_run_ends_in_two(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main.main(["cluster", *arguments]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("arguments", [[], ["cluster"], ["cluster", "up", "--slurm", "19.05"], ["cluster", "nonsense"]])
def test_unknown_words_end_in_two(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(arguments)
    assert caught.value.code == 2


def test_a_bad_command_line_is_an_object_for_who_wants_json(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(["cluster", "up", "--json", "--slurm", "23.02"])
    assert caught.value.code == 2
    printed = capsys.readouterr()
    error = json.loads(printed.out)["error"]
    assert error["exit_code"] == 2
    assert "23.02" in error["message"]
    assert "24.11" in error["message"]
    assert "usage:" in printed.err


@pytest.mark.parametrize("wrong", [["--timeout", "never"], ["--no-such-option"], ["--json"]])
def test_a_plugin_of_nagios_that_cannot_run_is_unknown(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(["verify", "--nagios", *wrong])
    assert caught.value.code == 3
    assert capsys.readouterr().out == "SLURMREST UNKNOWN - could not run: bad arguments, see standard error\n"


def test_request_carries_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[lifecycle.Request] = []

    def up(request: lifecycle.Request, _progress: Progress) -> Cluster:
        seen.append(request)
        return cluster()

    monkeypatch.setattr(lifecycle, "up", up)
    words = (
        "cluster up --slurm 26.05 --layout split --nodes 3 --rest-hosts 2 --name x --engine docker "
        "--allow-stale-mirror --no-cache"
    )
    assert main.main(words.split()) == 0
    assert seen == [
        lifecycle.Request(
            name="x",
            series="26.05",
            layout="split",
            compute_nodes=3,
            rest_hosts=2,
            engine="docker",
            image=None,
            bare=False,
            allow_stale=True,
            keep_on_failure=False,
            cache=False,
        )
    ]


def test_json_is_one_object_and_alone_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lifecycle, "up", lambda _request, _progress: cluster())
    assert main.main(["cluster", "up", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "one"


def test_summary_has_a_line_to_paste_and_no_token() -> None:
    one = cluster()
    text = describe.summary(one)
    assert "sesame" not in text
    line = next(line for line in text.splitlines() if "curl -s" in line)
    words = shlex.split(line[line.index("curl") :])
    assert words == ["curl", "-s", "-H", f"@{header_file(one, 'root')}", "http://127.0.0.1:40002/slurm/v0.0.42/diag"]
    assert "image 20.0, nodes 1.2; 21.2 in all" in text
    assert "slurmrest cluster down one" in text


def test_list_tells_which_nodes_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    cluster()
    (cluster("two").directory / "cluster.json").unlink()
    monkeypatch.setattr(liveness, "refresh", lambda _cluster, _progress: {"node1": True})
    assert main.main(["cluster", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "name": "one",
            "state": "running",
            "slurm_version": "24.11.5",
            "layout": "single",
            "base_url": "http://127.0.0.1:40002",
        },
        {"name": "two", "state": "not finished"},
    ]


def test_list_goes_on_where_one_cluster_cannot_be_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster()
    (cluster("two").directory / "cluster.json").write_text("{}")

    def refresh(one: Cluster, _progress: object) -> dict[str, bool]:
        raise CannotRunError(f"{one.name} is somewhere else")

    monkeypatch.setattr(liveness, "refresh", refresh)
    assert main.main(["cluster", "list", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == [{"name": name, "state": "not known"} for name in ("one", "two")]
    assert "one is somewhere else" in printed.err
    assert "no record of a cluster" in printed.err


def test_status_of_a_start_that_was_kept_as_it_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = cluster()
    one.ready, one.api_versions = False, []
    one.nodes[0].rest_port = None
    one.save()
    monkeypatch.setattr(liveness, "refresh", lambda _cluster, _progress: {"node1": True})
    assert main.main(["cluster", "status"]) == 0
    assert "Slurm 24.11.5, single, not finished" in capsys.readouterr().out
    assert main.main(["cluster", "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["base_url"] is None


def test_a_file_that_cannot_be_written_is_an_object_for_who_wants_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_request: object, _progress: object) -> Cluster:
        raise OSError(28, "No space left on device", "/there")

    monkeypatch.setattr(lifecycle, "up", full)
    assert main.main(["cluster", "up", "--json"]) == 1
    printed = capsys.readouterr()
    error = json.loads(printed.out)["error"]
    assert error["exit_code"] == 1
    assert "No space left on device: '/there'" in error["message"]
    assert "Traceback" not in printed.err


def test_status_fails_when_a_node_is_down(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    cluster()
    monkeypatch.setattr(liveness, "refresh", lambda _cluster, _progress: {"node1": False})
    assert main.main(["cluster", "status", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["running"] == {"node1": False}


def test_phases_add_up_and_the_running_one_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.phase("host", "this host")
    progress.phase("image", "base [image]")
    assert (list(progress.timings), progress.current) == (["host"], "image")
    progress.finish()
    assert (list(progress.timings), progress.current) == (["host", "image"], "")
    assert "base [image]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "node", "words"),
    [
        (["node1"], "node1", []),
        (["node1", "--name", "one"], "node1", []),
        (["--name", "one", "node1", "--", "ls", "-l"], "node1", ["ls", "-l"]),
        (["node1", "--name", "one", "--", "ls", "--name", "--", "x"], "node1", ["ls", "--name", "--", "x"]),
        (["--name", "one", "node1", "hostname"], "node1", ["hostname"]),
    ],
)
def test_a_command_for_a_node_begins_after_the_dashes(arguments: list[str], node: str, words: list[str]) -> None:
    options = main.parse(["cluster", "shell", *arguments])
    assert (options.node, options.words) == (node, words)
