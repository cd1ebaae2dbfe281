"""Paths that people type, and command lines without tokens."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from slurmrest.errors import InputError

from slurmrest_toolkit.client import complete_path
from slurmrest_toolkit.clusters import liveness, rest, tokens
from slurmrest_toolkit.clusters.state import Cluster, Node, write_private
from slurmrest_toolkit.command import main
from tests.unit.played_engine import PlayedEngine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("diag", "/slurm/v0.0.42/diag"),
        ("job/17?flags=DETAIL", "/slurm/v0.0.42/job/17?flags=DETAIL"),
        ("/slurm/diag", "/slurm/v0.0.42/diag"),
        ("slurmdb/jobs?users=alice", "/slurmdb/v0.0.42/jobs?users=alice"),
        ("/slurmdb/v0.0.40/diag", "/slurmdb/v0.0.40/diag"),
        ("slurm/v0.0.41/ping", "/slurm/v0.0.41/ping"),
        ("/openapi/v3", "/openapi/v3"),
        ("/healthz", "/healthz"),
        ("slurm", "/slurm/v0.0.42/slurm"),
    ],
)
def test_paths_are_completed(typed: str, sent: str) -> None:
    assert complete_path(typed, "v0.0.42") == sent


@pytest.mark.parametrize("path", ["", "/", "http://elsewhere/slurm", "a b", "diag\n"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="PATH"):
        complete_path(path, "v0.0.42")


def test_token_is_in_a_file_that_curl_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path))
    cluster = Cluster("one", "24.11.5", "single", "podman", [Node("node1", ["slurmrestd"], "c", 22, 40002)])
    write_private(tokens.header_file(cluster, "root"), "X-SLURM-USER-TOKEN: sesame\n")
    argv = rest.curl_argv(cluster, "/slurm/v0.0.42/job/submit", user="root", method="POST", body="{}")
    assert "sesame" not in " ".join(argv)
    assert f"@{tmp_path}/clusters/one/header.root" in argv
    assert argv[-1] == "http://127.0.0.1:40002/slurm/v0.0.42/job/submit"
    assert argv[argv.index("-X") + 1] == "POST"
    assert "Content-Type: application/json" in argv


def test_a_path_is_sent_as_it_is_whatever_curl_is_told_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a server: curl says where it would have gone to."""
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("CURL_HOME", str(tmp_path))
    (tmp_path / ".curlrc").write_text('write-out = "the rc file was read"\n', encoding="ascii")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        cluster = Cluster("one", "24.11.5", "single", "podman", [Node("node1", ["slurmrestd"], "c", 22, port)])
        write_private(tokens.header_file(cluster, "root"), "X-SLURM-USER-TOKEN: sesame\n")
        argv = rest.curl_argv(cluster, "/slurm/v0.0.42/job/1_[1-2]?a={b,c}", user="root", method=None, body=None)
        subprocess.run([*argv, "--write-out", "%{stderr}<%{url_effective}>"], check=False)
    printed = capfd.readouterr()
    assert re.findall("<(.*?)>", printed.err) == [argv[-1]]
    assert "rc file" not in printed.out


class Restarted(PlayedEngine):
    """Its containers run, with other ports than were written down."""

    def _ps(self, _words: Sequence[str], _text: str) -> str:
        self.started.update({"c": "image"})
        return json.dumps([{"Names": ["c"], "Labels": {}, "State": "running"}])


@pytest.fixture(name="asked")
def noted_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that curl is told."""
    seen: list[str] = []
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # pytest keeps its own

    def run(argv: Sequence[str], **_how: bool) -> subprocess.CompletedProcess[str]:
        seen.append(next(word for word in argv if word.startswith("http:")))
        return subprocess.CompletedProcess(argv, 0)

    monkeypatch.setattr(rest, "subprocess", SimpleNamespace(run=run))
    node = Node("node1", ["slurmctld", "slurmrestd"], "c", 40001, 40002)
    Cluster("one", "24.11.5", "single", "podman", [node], api_versions=["v0.0.42"]).save()
    return seen


def test_requests_go_to_the_port_that_the_node_has_now(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the port of before would get the token of root."""
    monkeypatch.setattr(liveness, "engine_of", lambda *_: Restarted())
    assert main.main(["cluster", "curl", "diag"]) == 0
    assert asked == ["http://127.0.0.1:41001/slurm/v0.0.42/diag"]


def test_nothing_is_asked_of_a_node_that_does_not_run(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(liveness, "engine_of", lambda *_: PlayedEngine())
    assert main.main(["cluster", "curl", "diag"]) == 2
    assert main.main(["cluster", "token"]) == 2
    assert asked == []
    assert capsys.readouterr().err.count("Start it anew: slurmrest cluster up one") == 2
