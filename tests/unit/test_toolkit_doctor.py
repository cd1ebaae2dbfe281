"""``slurmrest doctor``: what it hands to the playbook, and what it makes of its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from slurmrest.errors import InputError

from slurmrest_toolkit.ansible_runs import playbooks
from slurmrest_toolkit.ansible_runs.playbooks import PlaybookFailedError
from slurmrest_toolkit.clusters import doctor, liveness
from slurmrest_toolkit.clusters.state import Cluster, Node
from slurmrest_toolkit.command import codes, main
from slurmrest_toolkit.support.errors import ClusterFailedError
from slurmrest_toolkit.support.progress import Progress

HEALTHY = {"schema": 1, "healthy": True, "slurm_version": "24.11.5", "findings": []}
FINDING = {
    "id": "jwt-key-missing",
    "title": "The JWT key is not there",
    "cause": "It does not exist.",
    "evidence": ["/key does not exist"],
    "consequences": [],
    "remedy": "Make one.",
    "documentation": "jwt.html",
    "host": "node1",
}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("SLURMREST_STATE_DIR", str(tmp_path))
    found = Cluster(
        "c", "24.11.5", "single", "podman", [Node("node1", ["slurmrestd"], "slurmrest-c-node1")], ready=True
    )
    found.save()
    return found


def play(
    monkeypatch: pytest.MonkeyPatch, report: dict[str, Any] | None, error: Exception | None = None
) -> dict[str, Any]:
    """Pretend that the playbook ends with a report and perhaps an error; returns the variables that it was given."""
    given: dict[str, Any] = {}

    def run(_inventory: Path, names: list[str], _log: Path, *, arguments: list[str], **_callbacks: Any) -> None:
        assert names == ["doctor.yml"]
        given.update(json.loads(arguments[arguments.index("--extra-vars") + 1]))
        if report is not None:
            Path(given["slurmrest_doctor_report"]).write_text(json.dumps(report))
        if error is not None:
            raise error

    monkeypatch.setattr(playbooks, "run", run)
    return given


@pytest.mark.parametrize("line", ["GET", "GET diag", "/slurm/v0.0.42/diag", "GET /a b", "G-T /a", ""])
def test_a_request_is_a_method_and_a_path(line: str) -> None:
    with pytest.raises(InputError, match="--request"):
        doctor.ClientRequest(line).variables()


def test_what_the_playbook_is_told_of_a_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert doctor.ClientRequest("delete /slurm/v0.0.42/jobs").variables() == {
        "method": "DELETE",
        "path": "/slurm/v0.0.42/jobs",
        "user": "",
    }
    assert doctor.ClientRequest("GET /x", "alice", "token").variables()["token_file"] == str(tmp_path / "token")


def test_findings_are_no_failure_of_the_playbook(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    sick = {**HEALTHY, "healthy": False, "findings": [FINDING]}
    play(monkeypatch, sick, PlaybookFailedError("node1, task 'Name the causes': found", ["node1"]))
    assert doctor.examine(cluster, Progress()) == sick


def test_a_playbook_that_comes_to_no_report_has_failed(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, None, PlaybookFailedError("node1, task 'Look at the host': broken", ["node1"]))
    with pytest.raises(ClusterFailedError, match="broken"):
        doctor.examine(cluster, Progress())


def test_exit_codes_and_both_forms(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(liveness, "refresh", lambda one, _: {node.name: True for node in one.nodes})
    given = play(monkeypatch, HEALTHY)
    assert main.main(["doctor", "--name", cluster.name, "--evidence", str(tmp_path / "seen.json")]) == codes.OK
    assert capsys.readouterr().out == "healthy: Slurm 24.11.5, nothing found\n"
    assert given["slurmrest_doctor_evidence"] == str(tmp_path / "seen.json")
    play(monkeypatch, {**HEALTHY, "healthy": False, "findings": [FINDING]})
    assert main.main(["doctor", "--name", cluster.name, "--json"]) == codes.FAILED
    assert json.loads(capsys.readouterr().out)["findings"] == [FINDING]
