"""The identity service on a real socket, and the program that asks PAM, with another PAM."""

from __future__ import annotations

import http.client
import io
import json
import os
import pwd
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.bundle import bundle
from slurmrest.errors import SlurmrestError
from slurmrest.login import pam, service
from slurmrest.login.policy import Policy
from slurmrest.login.service import MAXIMUM_BODY, IdentityServer, identity, password_of_pam
from slurmrest.login.settings import LoginSettings

from tests.unit.login.test_sessions import PEM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUBJECT = "CN=Alice,O=Example"
ME = pwd.getpwuid(os.getuid()).pw_name
SETTINGS: dict[str, Any] = {
    "identity": "mtls",
    "proxy": ME,
    "name": "slurm.example.org",
    "token_seconds": 300,
    "session_seconds": 3600,
    "policy": {
        "slurm_user": "slurm",
        "least_uid": 1000,
        "users_denied": [],
        "groups_denied": [],
        "groups_allowed": [],
    },
    "subjects": {SUBJECT: "alice"},
}


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(self.path)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    key = tmp_path / "key.pem"
    key.touch(0o600)
    key.write_text(PEM)
    monkeypatch.setattr(Policy, "refusal", lambda _self, name: "" if name == "alice" else "no")
    return str(key)


@pytest.fixture
def served(path: str, tmp_path: Path) -> Iterator[str]:
    at = str(tmp_path / "identity.socket")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(at)
        listening.listen()
        server = IdentityServer(listening, identity(LoginSettings.from_mapping({**SETTINGS, "key": path})), os.getuid())
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield at
        server.shutdown()
        thread.join()


def test_many_questions_on_one_connection(served: str) -> None:
    connection = UnixConnection(served)
    own = {"X-Method": "GET", "X-Client-Verify": "SUCCESS", "X-Client-Subject": SUBJECT}
    for _ in range(3):
        connection.request("GET", "/check", headers=own)
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("X-Slurm-User-Name"), answer.read()) == (204, "alice", b"")
        assert "Python" not in str(answer.getheader("Server"))
        connection.request("GET", "/check?x=1", headers={})
        answer = connection.getresponse()
        assert answer.status == 401
        assert json.loads(answer.read())["errors"][0]["source"] == "gateway"
    connection.request("POST", "/auth/session", body=b"x" * 10)
    answer = connection.getresponse()
    assert (answer.status, bool(answer.read())) == (405, True)
    connection.close()


def test_who_is_on_the_host_is_told_which_key_signs(served: str) -> None:
    connection = UnixConnection(served)
    connection.request("GET", "/key")
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["kid"][:18]) == (200, "slurmrest-gateway-")
    connection.close()


@pytest.mark.parametrize("written", ["//auth/check", "http://auth/check", "/auth//check", "/auth/../check"])
def test_what_nginx_takes_for_a_page_is_not_the_check(served: str, written: str) -> None:
    """What a client wrote is sent on: no reading of it may lead to the answer that has the token."""
    connection = UnixConnection(served)
    own = {"X-Method": "GET", "X-Client-Verify": "SUCCESS", "X-Client-Subject": SUBJECT}
    connection.request("GET", written, headers=own)
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("X-Slurm-User-Token")) == (400 if written[:2] == "//" else 404, None)
    connection.close()


@pytest.mark.parametrize(
    "line", [b"GET /auth/login\xa0x HTTP/1.1", b"GET /auth/login  HTTP/1.1", b"GET /auth/log\xe9n HTTP/1.1"]
)
def test_a_path_ends_where_it_ends_for_nginx(served: str, line: bytes) -> None:
    """Whose limit of logins hangs on the path as nginx reads it."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(served)
        connection.sendall(line + b"\r\nHost: x\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("length", [str(MAXIMUM_BODY + 1), "-1", "x"])
def test_bodies_have_a_bound(served: str, length: str) -> None:
    connection = UnixConnection(served)
    connection.putrequest("POST", "/auth/login")
    connection.putheader("Content-Length", length)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert answer.getheader("Content-Type") == "application/json"
    connection.close()


def test_another_account_is_not_heard(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_CREDENTIALS", type("Other", (), {"unpack": lambda _self, _data: (1, 4711, 1)})())
    with socket.socket(socket.AF_UNIX) as connection, suppress(ConnectionResetError, BrokenPipeError):
        connection.connect(served)
        connection.sendall(b"GET /check HTTP/1.1\r\n\r\n")
        assert connection.recv(1) == b""


def test_settings_that_cannot_be_used(tmp_path: Path, path: str) -> None:
    file = tmp_path / "identity.json"
    for text in ("", "[]", "{}", json.dumps({**SETTINGS, "key": path, "policy": {}})):
        file.write_text(text)
        with pytest.raises(SlurmrestError, match="cannot be read"):
            LoginSettings.load(str(file))
    file.write_text(json.dumps({**SETTINGS, "key": path}))
    assert LoginSettings.load(str(file)).policy.slurm_user == "slurm"
    with pytest.raises(SlurmrestError, match="nokey"):
        identity(LoginSettings.from_mapping({**SETTINGS, "key": str(tmp_path / "nokey")}))


def test_it_is_started_by_systemd_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert service.main(["/etc/slurmrest/identity.json"]) == 1
    assert "systemctl start slurmrest-identity.socket" in capsys.readouterr().err


# --- PAM -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"x",
        b"[]",
        b"{}",
        b'{"user": "alice"}',
        b'{"user": "alice", "password": ""}',
        b'{"user": 1, "password": "x"}',
        b'{"user": "alice", "password": "x", "more": 1}',
        b'{"user": "al\\u0000", "password": "x"}',
    ],
)
def test_what_is_no_question(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"no question|no names|a NUL|Expecting value"):
        pam.question(line)


def test_a_question() -> None:
    assert pam.question(b'{"user": "alice", "password": "geheim\\u00e4"}\n') == ("alice", "geheimä")


@pytest.mark.parametrize(("good", "said"), [(True, b"yes\n"), (False, b"no\n")])
def test_its_answer(monkeypatch: pytest.MonkeyPatch, good: bool, said: bytes) -> None:
    asked: list[tuple[str, ...]] = []

    class Other:
        def is_password(self, *words: str) -> bool:
            asked.append(words)
            return good

    written: list[bytes] = []
    lines = [b'{"user": "alice", ', b'"password": "geheim"}\n']
    monkeypatch.setattr(pam, "Pam", Other)
    monkeypatch.setattr("os.read", lambda _descriptor, _count: lines.pop(0))
    monkeypatch.setattr("os.write", lambda _descriptor, data: written.append(data))
    assert pam.main(["slurmrest-gateway"]) == 0
    assert asked == [("slurmrest-gateway", "alice", "geheim")]
    assert written == [said]


def test_its_program_answers_nothing_to_what_is_no_question(tmp_path: Path) -> None:
    program = tmp_path / "pam.pyz"
    program.write_bytes(bundle("login.pam"))
    done = subprocess.run(
        [sys.executable, "-I", str(program), "slurmrest-gateway"], input=b"{}\n", capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(("answer", "good"), [(b"yes\n", True), (b"no\n", False), (b"", False), (b"yes", False)])
def test_the_service_asks_over_a_socket(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: bytes, good: bool
) -> None:
    at = str(tmp_path / "pam.socket")
    seen = io.BytesIO()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(at)
        listening.listen()

        def reply() -> None:
            connection, _ = listening.accept()
            with connection:
                seen.write(connection.recv(4096))
                connection.sendall(answer)

        thread = threading.Thread(target=reply)
        thread.start()
        assert password_of_pam(at)("alice", "geheim") is good
        thread.join()
    assert pam.question(seen.getvalue()) == ("alice", "geheim")
    assert ("PAM gave no answer" in capsys.readouterr().out) == (answer == b"")


def test_passwords_wait_for_their_turn(tmp_path: Path) -> None:
    """What is beyond the connections of the socket would be refused, whoever's password it is."""
    at = str(tmp_path / "pam.socket")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(at)
        listening.listen()
        ask, good = password_of_pam(at, at_once=1), list[bool]()
        threads = [threading.Thread(target=lambda: good.append(ask("alice", "geheim"))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in threads:
            listening.settimeout(10)
            connection, _address = listening.accept()
            with connection:
                connection.recv(4096)
                listening.settimeout(0.3)
                with pytest.raises(socket.timeout):
                    listening.accept()
                connection.sendall(b"yes\n")
        for thread in threads:
            thread.join()
    assert good == [True, True]


def test_when_too_many_passwords_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(service, "PAM_QUEUE_SECONDS", 0.01)
    assert password_of_pam(str(tmp_path / "none"), at_once=0)("alice", "geheim") is False
    assert capsys.readouterr().out == "PAM is not asked: too many logins at once\n"


def test_without_pam_nobody_is_let_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert password_of_pam(str(tmp_path / "none"))("alice", "geheim") is False
    said = capsys.readouterr().out
    assert "PAM cannot be asked" in said
    assert "geheim" not in said
