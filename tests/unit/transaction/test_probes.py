"""Probes against a server that answers 401, one that says nothing, and commands that succeed and fail."""

from __future__ import annotations

import http.server
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from slurmrest.errors import InputError
from slurmrest.host.programs import run
from slurmrest.transaction.asking import probe_error
from slurmrest.transaction.probes import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator


class Refuses(http.server.BaseHTTPRequestHandler):
    """Answers as slurmrestd does when nobody says who he is."""

    def do_GET(self) -> None:
        self.send_error(401)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - named so by the library
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
    return number


def test_an_unauthorised_answer_is_an_answer(port: int) -> None:
    assert probe_error(Probe.from_mapping({"listeners": [f"127.0.0.1:{port}", f"0.0.0.0:{port}"]}), run) is None


def test_every_listener_must_answer(port: int, closed_port: int) -> None:
    why = probe_error(Probe.from_mapping({"listeners": [f"127.0.0.1:{port}", f"127.0.0.1:{closed_port}"]}), run)
    assert why is not None
    assert str(closed_port) in why


def test_a_missing_socket_is_named() -> None:
    why = probe_error(Probe.from_mapping({"listeners": ["unix:/nonexistent/slurmrestd.socket"]}), run)
    assert why is not None
    assert "/nonexistent/slurmrestd.socket" in why


def test_tcp(port: int, closed_port: int) -> None:
    assert probe_error(Probe.from_mapping({"tcp": f"127.0.0.1:{port}"}), run) is None
    assert str(closed_port) in str(probe_error(Probe.from_mapping({"tcp": f"127.0.0.1:{closed_port}"}), run))


def test_of_several_controllers_this_hosts_own_has_to_answer() -> None:
    own = socket.gethostname().partition(".")[0]

    def asked(state: str, host: str, code: int = 0) -> str | None:
        lines = f"Slurmctld(primary) at elsewhere is UP\nSlurmctld(backup1) at {host} is {state}\n"
        script = f"printf '{lines}'; exit {code}"
        return probe_error(Probe.from_mapping({"controller": ["sh", "-c", script]}), run)

    assert asked("UP", own) is None
    assert asked("UP", f"{own}.example.org") is None
    assert "DOWN" in (asked("DOWN", own) or "")
    assert asked("DOWN", "another") is None, "not known by its name"
    assert asked("UP", own, 1) is not None


def test_commands_speak_for_themselves() -> None:
    assert probe_error(Probe.from_mapping({"command": ["true"]}), run) is None
    assert probe_error(Probe.from_mapping({"command": ["sh", "-c", "echo why >&2; exit 3"]}), run) == "why"
    assert probe_error(Probe.from_mapping({"command": ["sh", "-c", "exit 3"]}), run) == "exit 3"


@pytest.mark.parametrize("data", [{}, {"http": "x"}, {"tcp": "a:1", "command": ["true"]}])
def test_other_forms_are_refused(data: dict[str, object]) -> None:
    with pytest.raises(InputError, match="listeners"):
        Probe.from_mapping(data)
