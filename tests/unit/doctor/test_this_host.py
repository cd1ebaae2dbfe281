"""The doctor for the host it runs on: recorded evidence of whole clusters, seen one host at a time."""

from __future__ import annotations

import argparse
import json
import os
import socket
import stat
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.auth import minting
from slurmrest.auth.bearer import Token
from slurmrest.doctor import command, this_host
from slurmrest.doctor.this_host import examine
from slurmrest.errors import InputError

from tests.unit.doctor.test_doctor import evidence, split

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = Token("e30.e30.c2ln")


class Here:
    """A host as it was recorded: what is gathered, what scontrol gives, what slurmrestd answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.recorded: dict[str, Any] = evidence()["hosts"]["node1"]
        self.token: Token | Exception = TOKEN
        self.asked: list[tuple[list[str], dict[str, Any]]] = []
        self.wanted: dict[str, Any] = {}
        monkeypatch.setattr(socket, "gethostname", lambda: "node1.example.org")
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(this_host, "gather", self.gather)
        monkeypatch.setattr(minting, "from_scontrol", self.from_scontrol)
        monkeypatch.setattr(this_host, "inquire", self.inquire)

    def gather(self, wanted: dict[str, Any]) -> dict[str, Any]:
        self.wanted = wanted
        return {key: value for key, value in self.recorded.items() if key not in {"http", "token_refused", "asked"}}

    def from_scontrol(self, user: str, _seconds: int) -> Token:
        assert user == "root"
        if isinstance(self.token, Exception):
            raise self.token
        return self.token

    def inquire(self, urls: list[str], token: Token | None, **more: Any) -> Any:
        self.asked.append((urls, {"token": token, **more}))
        return self.recorded["http"]

    def without_slurm(self) -> None:
        self.recorded["roles"] = []
        self.recorded["facts"]["version"] = None


@pytest.fixture(name="host")
def host_of_the_doctor(monkeypatch: pytest.MonkeyPatch) -> Here:
    return Here(monkeypatch)


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    command.add_arguments_of_a_host(parser)
    return parser.parse_args(words)


def test_a_host_that_is_everything_shows_everything(host: Here) -> None:
    seen = examine(listen=["127.0.0.1:6820"])
    assert seen.report.healthy
    assert (seen.host, list(seen.unseen)) == ("node1", [])
    ((urls, how),) = host.asked
    assert how["token"] is TOKEN
    assert how["accounting"] is True
    assert "http://127.0.0.1:6820" in urls
    assert len(host.wanted["salt"]) >= 32


@pytest.mark.parametrize("fault", ["account-root", "no-listener", "port-taken", "slurmdbd-stopped"])
def test_causes_are_found_without_an_inventory(host: Here, fault: str) -> None:
    host.recorded = evidence(fault)["hosts"]["node1"]
    assert fault in [finding.id for finding in examine().report.findings]


def test_it_says_what_runs_elsewhere(host: Here) -> None:
    host.recorded = split()["hosts"]["rest"]
    host.recorded["facts"]["slurm_conf"].update(slurmctld_hosts=["ctl1", "ctl2"], accounting_storage_hosts=["db"])
    unseen = "\n".join(examine().unseen)
    assert "slurmctld runs elsewhere (ctl1, ctl2): its unit, its key" in unseen
    assert "slurmdbd runs elsewhere (db)" in unseen
    assert "were not compared between hosts" in unseen
    assert "slurmrest.toolkit.doctor" in unseen
    host.recorded["facts"]["slurm_conf"]["accounting"] = False
    assert "slurmdbd" not in "\n".join(examine().unseen)


def test_what_is_elsewhere_by_the_words_of_a_file_commands_no_terminal(host: Here) -> None:
    host.recorded = split()["hosts"]["rest"]
    host.recorded["facts"]["slurm_conf"].update(slurmctld_hosts=["ctl\x9b2J\x1b"], accounting_storage_hosts=["`db`"])
    unseen = "\n".join(examine().unseen)
    assert "(ctl?2J?)" in unseen
    assert "('db')" in unseen


def test_a_controller_without_slurmrestd_sends_no_request(host: Here) -> None:
    host.recorded = split()["hosts"]["ctl"]
    seen = examine(request=this_host.LocalRequest.parse("GET /slurm/v0.0.42/diag"))
    assert host.asked == []
    assert "no request was sent, and the client's was not looked at." in seen.unseen[0]
    host.recorded["facts"]["slurm_conf"]["slurmctld_hosts"] = ["ctl", "ctl2"]
    assert "There are several controllers (ctl, ctl2)" in "\n".join(examine().unseen)


def test_no_token_on_a_rest_host_is_no_fault_of_the_cluster(host: Here) -> None:
    host.recorded = split()["hosts"]["rest"]
    host.token = minting.NoTokenError("there is no scontrol on this host.")
    seen = examine()
    assert "only the listeners were asked. there is no scontrol" in seen.unseen[0]
    assert "token_refused" not in str(seen.report.as_dict())
    assert seen.evidence["token_refused"] is None


def test_no_token_on_a_controller_is_one(host: Here) -> None:
    host.token = minting.NoTokenError("scontrol made no token: refused.")
    seen = examine()
    assert seen.evidence["token_refused"] == "scontrol made no token: refused."
    assert not seen.report.healthy


def test_a_controller_that_is_down_is_not_asked_for_a_token(host: Here) -> None:
    host.recorded = evidence("slurmctld-stopped")["hosts"]["node1"]
    host.token = AssertionError("scontrol would wait for it")
    assert examine().evidence["token_refused"] == "slurmctld does not run on this host"


def test_a_host_without_slurm_is_not_called_healthy(host: Here, capsys: pytest.CaptureFixture[str]) -> None:
    host.without_slurm()
    assert command.run(arguments()) == command.CANNOT_RUN
    assert "could not run: there is no Slurm on node1." in capsys.readouterr().err


def test_both_forms_and_their_exit_codes(host: Here, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    kept = tmp_path / "evidence.json"
    assert command.run(arguments("--evidence", str(kept))) == command.OK
    assert capsys.readouterr().out.startswith("healthy: Slurm 24.11.")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert json.loads(kept.read_text())["hosts"]["node1"]["roles"] == host.recorded["roles"]
    host.recorded = split()["hosts"]["rest"]
    assert command.run(arguments()) == command.OK
    text = capsys.readouterr().out
    assert " on node1, nothing found\n\nnot seen from this host:\n   - slurmctld runs elsewhere" in text
    host.recorded = evidence("account-root")["hosts"]["node1"]
    assert command.run(arguments("--json")) == command.FOUND
    data = json.loads(capsys.readouterr().out)
    assert (data["healthy"], data["host"], data["unseen"]) == (False, "node1", [])


def test_a_clients_request_is_explained(host: Here, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("SLURM_JWT=e30.e30.b3RoZXI\n", encoding="ascii")
    file.chmod(0o600)
    words = ("--request", "get /slurm/v0.0.42/diag", "--user", "alice", "--token-file", str(file))
    command.run(arguments(*words))
    ((_, how),) = host.asked
    told = how["client"].pop("told")
    assert (told["version"], told["bad_characters"], told["token"]["jwt"]) == ("v0.0.42", [], True)
    assert how["client"] == {"method": "GET", "path": "/slurm/v0.0.42/diag", "user": "alice"}
    assert how["client_token"].reveal() == "e30.e30.b3RoZXI"
    assert host.wanted["users"] == ["alice"]


@pytest.mark.parametrize("line", ["", "GET", "GET diag", "G3T /x", "GET /a /b"])
def test_what_is_no_request_is_refused(line: str) -> None:
    with pytest.raises(InputError, match="--request"):
        this_host.LocalRequest.parse(line)


def test_it_wants_root_and_options_that_belong_together(
    host: Here, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.run(arguments("--user", "alice")) == command.CANNOT_RUN
    assert "belong to --request" in capsys.readouterr().err
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert command.run(arguments()) == command.CANNOT_RUN
    assert "Run it as root." in capsys.readouterr().err
    assert host.wanted == {}
