"""The HTTP client against servers that answer, and against all that may be there instead."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from slurmrest.auth.bearer import Token
from slurmrest.errors import InputError
from slurmrest.rest.client import FAILURES, ClientError, Credentials, Response, Target, request

from tests.unit.fake_slurmrestd import STYLES, FakeSlurmrestd, serving, token

RAW = "127.0.0.2"
"""Not 127.0.0.1: while an engine starts or stops containers it forwards ports of it that nobody holds."""


@pytest.mark.parametrize(
    ("text", "target", "url"),
    [
        ("http://rest:6820", Target("http", "rest", 6820), "http://rest:6820"),
        ("http://rest:6820/", Target("http", "rest", 6820), "http://rest:6820"),
        ("http://rest", Target("http", "rest", 80), "http://rest:80"),
        ("https://rest", Target("https", "rest", 443), "https://rest:443"),
        ("rest:6820", Target("http", "rest", 6820), "http://rest:6820"),
        (":6820", Target("http", "localhost", 6820), "http://localhost:6820"),
        ("[::1]:6820", Target("http", "::1", 6820), "http://[::1]:6820"),
        ("http://[::1]:6820", Target("http", "::1", 6820), "http://[::1]:6820"),
        ("unix:/run/s", Target("unix", path="/run/s"), "unix:/run/s"),
        ("unix:///run/s", Target("unix", path="/run/s"), "unix:/run/s"),
        ("unix:/run/with blank", Target("unix", path="/run/with blank"), "unix:/run/with blank"),
    ],
)
def test_targets(text: str, target: Target, url: str) -> None:
    assert Target.parse(text) == target
    assert target.url == str(target) == url
    assert Target.parse(url) == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rest",
        "http://",
        "http://:6820",
        "http://rest:port",
        "http://rest:70000",
        "http://rest:0",
        "ftp://rest:1",
        "http://rest:1/path",
        "http://rest:1?x",
        "http://rest:1#x",
        "http://a b:1",
        "http://rest:1\r\nX: y",
        "http://[::1",
        "unix:",
        "unix:/",
        "unix:run/s",
        "unix:/a\nb",
        "unix:/" + "x" * 107,
    ],
)
def test_bad_targets_are_named(text: str) -> None:
    with pytest.raises(InputError) as raised:
        Target.parse(text, "--url")
    assert raised.value.variable == "--url"
    assert "Allowed" in str(raised.value)


def test_a_password_in_the_url_is_not_repeated() -> None:
    with pytest.raises(InputError) as raised:
        Target.parse("http://user:hunter2@rest:6820")
    assert "hunter2" not in str(raised.value)


def test_credentials_send_both_headers_and_hide_one() -> None:
    credentials = Credentials("alice", Token("secret-token"))
    assert credentials.headers() == {"X-SLURM-USER-NAME": "alice", "X-SLURM-USER-TOKEN": "secret-token"}
    assert "secret-token" not in repr(credentials)
    for user in ("", " ", "a\nb", "ä"):
        with pytest.raises(InputError, match="user"):
            Credentials(user, Token("t"))


def test_an_answer_over_tcp_and_unix(tmp_path: Path) -> None:
    daemon = FakeSlurmrestd(STYLES["24.11"])
    headers = Credentials("root", token("root")).headers()
    with serving(daemon) as tcp, serving(daemon, tmp_path / "socket") as unix:
        for target in (tcp, unix):
            answer = request(target, "GET", "/slurm/v0.0.42/diag", headers=headers)
            assert answer.status == 200
            assert answer.headers["content-type"] == "application/json"
            assert answer.json()["errors"] == []
            assert 0 < answer.seconds < 5
            refused = request(target, "GET", "/slurm/v0.0.42/diag")
            assert (refused.status, refused.text) == (401, "Authentication failure")
    sent = daemon.requests[0][2]
    assert sent["accept"] == "application/json"
    assert sent["connection"] == "close"


def test_proxies_of_the_environment_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with serving(FakeSlurmrestd(STYLES["24.11"])) as target:
        assert request(target, "GET", "/openapi/v3").status == 401


def test_a_redirection_is_an_answer_not_an_order() -> None:
    with raw(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n") as target:
        assert request(target, "GET", "/").status == 302


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"nul"])
def test_a_body_that_is_no_json(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Response(200, {}, body, 0.0).json()


def failing(target: Target, **how: Any) -> ClientError:
    with pytest.raises(ClientError) as raised:
        request(target, "GET", "/", **{"timeout": 2.0, **how})
    assert (raised.value.cause, raised.value.remedy) == FAILURES[raised.value.kind]
    assert raised.value.__cause__ is None
    return raised.value


def test_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert failing(Target("http", "127.0.0.1", port)).kind == "refused"
    stale = tmp_path / "stale"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(stale))
    error = failing(Target("unix", path=str(stale)))
    assert (error.kind, "nothing listens on it" in error.message) == ("refused", True)


def test_no_such_socket(tmp_path: Path) -> None:
    error = failing(Target("unix", path=str(tmp_path / "none")))
    assert error.kind == "no-socket"
    assert str(tmp_path / "none") in error.message


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user to be refused")
def test_permission(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(closed / "socket"))
        server.listen()
        os.seteuid(65534)
        try:
            assert failing(Target("unix", path=str(closed / "socket"))).kind == "permission"
        finally:
            os.seteuid(0)


def test_unknown_host() -> None:
    assert failing(Target("http", "no-such-host.invalid", 6820)).kind == "name"


def test_no_route() -> None:
    assert failing(Target("http", "255.255.255.255", 6820)).kind == "unreachable"


@contextlib.contextmanager
def raw(*pieces: bytes, pause: float = 0.0, repeat: bool = False) -> Iterator[Target]:
    """A server that reads a request, sends the pieces, and closes."""
    stop = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            for piece in pieces:
                connection.sendall(piece)
                stop.wait(pause)
            while repeat and not stop.is_set():
                connection.sendall(pieces[-1])
                stop.wait(pause)

    with serve_raw(serve) as port:
        yield Target("http", RAW, port)
        stop.set()


@contextlib.contextmanager
def serve_raw(serve: Callable[[socket.socket], None], host: str = RAW) -> Iterator[int]:
    with socket.create_server((host, 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                serve(server.accept()[0])

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123", "closed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n123", "closed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not-http"),
        (b"\x15\x03\x01\x00\x02\x02\x50", "not-http"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 70000, "not-http"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "closed"),
    ],
)
def test_no_complete_answer(answer: bytes, kind: str) -> None:
    with raw(answer) as target:
        assert failing(target).kind == kind


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_a_dripping_server_does_not_prolong_the_timeout(start: bytes) -> None:
    with raw(start, b"x", pause=0.05, repeat=True) as target:
        begin = time.monotonic()
        assert failing(target, timeout=0.3).kind == "timeout"
        assert 0.25 < time.monotonic() - begin < 30


def test_a_silent_server_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        error = failing(Target("http", "127.0.0.1", server.getsockname()[1]), timeout=0.2)
    assert (error.kind, "within 0.2 s" in error.message) == ("timeout", True)


def test_nobody_touches_the_socket_when_the_request_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number belongs to the next socket then, which would be shut down instead."""
    seen = []

    def shutdown(sock: socket.socket, _how: int) -> None:
        time.sleep(0.1)
        seen.append(sock.fileno())

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(socket.socket, "shutdown", shutdown)
        for _try in range(20):  # on a busy machine the socket's own timeout may come before the timer
            assert failing(Target("http", "127.0.0.1", server.getsockname()[1]), timeout=0.05).kind == "timeout"
            if seen:
                break
    assert len(seen) == 1
    assert seen[0] > 0


def test_an_answer_of_exactly_the_bound_is_taken_and_one_more_refused() -> None:
    for size, fits in ((100, True), (101, False)):
        with raw(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size) as target:
            if fits:
                assert len(request(target, "GET", "/", max_body=100).body) == size
            else:
                assert failing(target, max_body=100).kind == "too-large"


def test_the_bound_counts_where_pieces_are_handed_on_too() -> None:
    taken: list[bytes] = []
    with raw(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"x" * 65536, repeat=True) as target:
        begin = time.monotonic()
        assert failing(target, max_body=100, timeout=20.0, sink=taken.append).kind == "too-large"
        assert time.monotonic() - begin < 10
    assert sum(map(len, taken)) < 1 << 20


def test_no_content() -> None:
    with raw(b"HTTP/1.1 204 No Content\r\n\r\n") as target:
        assert request(target, "GET", "/").body == b""


def test_https_to_a_plain_listener() -> None:
    with serving(FakeSlurmrestd(STYLES["24.11"])) as target:
        assert failing(Target("https", target.host, target.port)).kind in ("tls", "closed")


def test_https_with_a_context(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    certificate, key = self_signed(tmp_path)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(certificate, key)

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), server_context.wrap_socket(connection, server_side=True) as wrapped:
            wrapped.recv(65536)
            wrapped.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    trusting = ssl.create_default_context(cafile=str(certificate))
    with serve_raw(serve, "localhost") as port:
        assert request(Target("https", "localhost", port), "GET", "/", context=trusting).body == b"hi"
    with serve_raw(serve, "localhost") as port:
        assert failing(Target("https", "localhost", port)).kind == "tls"


def self_signed(directory: Path) -> tuple[Path, Path]:
    import datetime as dt  # noqa: PLC0415 - only here, with the optional package below

    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (directory / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return directory / "cert.pem", directory / "key.pem"
