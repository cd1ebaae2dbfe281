"""Paths that people type, and command lines without tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from slurmrest.errors import InputError

from slurmrest_toolkit.client import complete_path
from slurmrest_toolkit.clusters import rest, tokens
from slurmrest_toolkit.clusters.state import Cluster, Node, write_private

if TYPE_CHECKING:
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
