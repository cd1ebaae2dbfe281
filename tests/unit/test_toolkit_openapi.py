"""``slurmrest openapi``, and ``--name``: a test cluster instead of an address and a token."""

from __future__ import annotations

import json
import signal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.errors import SlurmrestError
from slurmrest.users import document

from slurmrest_toolkit.clusters import liveness, tokens
from slurmrest_toolkit.clusters.layouts import plan_nodes
from slurmrest_toolkit.clusters.state import Cluster
from slurmrest_toolkit.command import main
from tests.unit.fake_slurmrestd import STYLES, FakeSlurmrestd, serving, token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("SLURM_JWT", raising=False)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(liveness, "refresh", lambda cluster, _: {node.name: True for node in cluster.nodes})


@pytest.fixture(name="daemon")
def a_daemon() -> FakeSlurmrestd:
    return FakeSlurmrestd(STYLES["24.11"])


@pytest.fixture(name="cluster")
def a_cluster(daemon: FakeSlurmrestd) -> Iterator[Cluster]:
    with serving(daemon) as target:
        nodes = plan_nodes("one", "single", 1)
        nodes[0].rest_port = target.port
        made = Cluster("one", "24.11.5", "single", "podman", nodes, ready=True, api_versions=[*daemon.style.apis])
        made.save()
        for user in tokens.USERS:
            tokens.keep(made, user, token(user))
        yield made


def test_the_document_of_the_newest_version_on_standard_output(
    cluster: Cluster, daemon: FakeSlurmrestd, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["openapi", "--name", cluster.name]) == 0
    printed = capsys.readouterr()
    assert list(json.loads(printed.out)["paths"]) == ["/slurm/v0.0.42/diag/", "/slurmdb/v0.0.42/diag/"]
    assert printed.err == ""
    assert daemon.requests[0][2]["x-slurm-user-name"] == "root"


def test_repairs_are_named_and_counted(
    cluster: Cluster, daemon: FakeSlurmrestd, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty: dict[str, Any] = {"type": "object", "required": []}
    described = {"get": {"operationId": "a", "responses": {"200": {"description": "", "x-a": empty}}}}
    daemon.instead["openapi"] = (200, {"openapi": "3.0.3", "paths": {"/slurm/v0.0.41/diag": described}})
    file = tmp_path / "openapi.json"
    words = ["openapi", "--name", cluster.name, "--repair", "--api-version", "v0.0.41", "--output", str(file)]
    assert main.main([*words, "--json"]) == 0
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert (told["api_version"], told["paths"]) == ("v0.0.41", 1)
    assert [(one["id"], one["count"]) for one in told["repairs"]] == [("empty-required", 1)]
    assert "empty-required: 1 × an empty list of required properties" in printed.err
    assert "required" not in file.read_text()
    assert main.main(words[:-2]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(file.read_text())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name", "two"], "There is no cluster called two"),
        (["--name", "one", "--url", "http://127.0.0.1:1"], "--name and --url say the same in two ways"),
        (["--name", "one", "--user", "bob"], "--user bob: the cluster one has root, alice."),
        (["--name", "one", "--api-version", "v0.0.38"], "v0.0.40 v0.0.41 v0.0.42"),
        (["--name", "one", "--json"], "--json needs --output"),
        (["--name", "one", "--output", "/nowhere/file"], "--output"),
    ],
)
def test_what_cannot_run(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert cluster.name == "one"
    assert main.main(["openapi", *arguments]) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.out == ""


@pytest.mark.parametrize("whole", [{"paths": None}, {"paths": []}, {"paths": {"/slurm/v0.0.42/diag": None}}])
def test_a_document_that_is_none_is_told_as_that(whole: Any) -> None:
    access: Any = SimpleNamespace(document=lambda: whole, wanted="v0.0.42")
    with pytest.raises(SlurmrestError, match=r"OpenAPI document of slurmrestd is none|--api-version"):
        document.written(access, repair=True, short_names=True, output=None)


def test_other_commands_reach_a_test_cluster_too(
    cluster: Cluster, daemon: FakeSlurmrestd, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.faults.add("silent")
    script = tmp_path / "job.sh"
    script.write_text("#!/bin/sh\ntrue\n")
    assert main.main(["submit", "--name", cluster.name, "--chdir", "/tmp", "--wait", "--json", str(script)]) == 0
    job_id = json.loads(capsys.readouterr().out)["job_id"]
    assert daemon.jobs[job_id]["user"] == "alice"
    assert main.main(["job", "show", "--name", cluster.name, str(job_id)]) == 0
    assert "COMPLETED" in capsys.readouterr().out
    daemon.requests.clear()
    main.main(["verify", "--name", cluster.name, "--json", "--no-accounting"])
    assert json.loads(capsys.readouterr().out)
    assert {headers["x-slurm-user-name"] for _, _, headers in daemon.requests if "x-slurm-user-name" in headers} == {
        "root"
    }
