"""The checks of a gateway, each seen passing in front of a good one and failing in front of one with that fault."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.errors import SlurmrestError
from slurmrest.rest.client import Credentials, Target
from slurmrest.rest.logins import CertificateCredentials, SessionCredentials
from slurmrest.rest.session import Failed
from slurmrest.rest.tls import Tls
from slurmrest.verify import gateway
from slurmrest.verify.gateway import FOREIGN, GATEWAY_CHECKS, LOGIN_PATH, SESSION_PATH
from slurmrest.verify.login import credentials_of
from slurmrest.verify.run import CHECKS, Options, Report, verify

from tests.unit.fake_slurmrestd import STYLES, FakeSlurmrestd, token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALICE = Credentials("alice", token("alice"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("gateway")
    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", *new, *name, "-keyout", "key.pem", "-out", "certificate.pem"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return directory


class FakeGateway:
    """A gateway as its checks see it; `faults` are what it does wrongly."""

    def __init__(self, *faults: str) -> None:
        self.daemon, self.faults = FakeSlurmrestd(STYLES["24.11"]), set(faults)
        self.kept: dict[tuple[str, ...], tuple[int, Any]] = {}
        self.lock = threading.Lock()

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, dict[str, str]]:
        """Status, content and headers."""
        more = {} if "keepable" in self.faults else {"Cache-Control": "no-store"}
        if "any-origin" in self.faults and "origin" in headers:
            more["Access-Control-Allow-Origin"] = headers["origin"]
        if method == "OPTIONS":
            return 204, "", more
        if path == "/" or (method not in ("GET", "POST", "DELETE") and "methods" not in self.faults):
            return 404 if path == "/" else 405, "", more
        user, given = headers.get("x-slurm-user-name"), headers.get("x-slurm-user-token", "")
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if "basic" in self.faults and "authorization" in headers and given:
            return 401, "", more
        given = given or ("" if "no-bearer" in self.faults else bearer)
        if not user or not given:
            return 401, "", more
        if len(body) > (1 << 20) and "small" in self.faults:
            return 413, "", more
        if "transfer-encoding" in headers and "no-chunks" in self.faults:
            return 411, "", more
        path = path.replace("%2F", "/") if "decodes" in self.faults else path
        if "/node/" in path:
            return 404, {"errors": [{"error": f"no {path}"}]}, more
        own = {"x-slurm-user-name": user, "x-slurm-user-token": given}
        if method != "GET":
            return 500, {"errors": [{"error": "no script"}]}, more
        key = (path, user) if "leaks" in self.faults else (path, user, given)
        with self.lock:
            state = "BYPASS" if "cache-control" in headers else "HIT" if key in self.kept else "MISS"
            if state != "HIT" or "asks" in self.faults:
                found = self.daemon.answer(method, path, own, body)
                state = "MISS" if state == "HIT" else state
                if found[0] == 200:
                    self.kept[key] = found
            else:
                found = self.kept[key]
        return *found, {**more, **({} if "no-cache" in self.faults else {"X-Cache": state})}


class LoginGateway(FakeGateway):
    """One that knows alice by her login; `session` is what she has for it."""

    session = "session-of-alice"

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, dict[str, str]]:
        if path == LOGIN_PATH:
            said = json.loads(body)
            if said != {"user": "alice", "password": "geheim", "bearer": True}:
                return 401, {"errors": [{"description": "The login is refused.", "source": "gateway"}]}, {}
            return 200, {"user": "alice", "bearer": self.session}, {}
        known = headers.get("authorization") == f"Bearer {self.session}" or "certified" in self.faults
        if path == SESSION_PATH:
            user = "bob" if "other" in self.faults else "alice"
            if "page" in self.faults:
                return 200, "<html>welcome</html>", {}
            return (200, {"user": user}, {}) if known else (401, {}, {})
        if "names" in self.faults and "x-slurm-user-name" in headers:
            known = True
        own = {name: value for name, value in headers.items() if name not in ("authorization", "x-slurm-user-name")}
        if known or method not in ("GET", "POST", "DELETE"):
            own.update({"x-slurm-user-name": "alice", "x-slurm-user-token": ALICE.token.reveal()})
        return super().answer(method, path, own, body)


@contextmanager
def serving(fake: FakeGateway, directory: Path) -> Iterator[Target]:
    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            chunked = "transfer-encoding" in {name.lower() for name in self.headers}
            body = self.rfile.read(0 if chunked else int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, content, more = fake.answer(self.command, self.path, headers, body)
            data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {**more, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_POST = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = _any  # noqa: N815 - names of http.server

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - as in http.server
            """Keep the terminal clean."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "certificate.pem", directory / "key.pem")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        port = server.server_address[1]
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.handle_error = lambda *_client: None  # type: ignore[method-assign]  # clients that leave are no news
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Target("https", "localhost", port)
        finally:
            server.shutdown()
            thread.join()


REFUSALS = ("no-token", "bad-token", "alg-none", "other-user")
OF_LOGINS = [check for check in CHECKS if check.id in ("reach", "api-versions", "slurm-diag", *REFUSALS)]
NEEDED = [check for check in CHECKS if check.id in ("reach", "api-versions", "slurm-diag")]


def proven(certificate: Path, *faults: str, insecure: bool = False) -> Report:
    tls = Tls(cacert=str(certificate / "certificate.pem"), insecure=insecure)
    with serving(FakeGateway(*faults), certificate) as target:
        options = Options(timeout=5)
        return verify(
            [], ALICE, options, context=tls.context(), checks=NEEDED, gateways=[target], gateway_checks=GATEWAY_CHECKS
        )


def outcomes(report: Report) -> dict[str, bool | None]:
    return {check.id: check.ok for check in report.checks if check.id.startswith("gateway-")}


def test_a_good_gateway_passes_every_check(certificate: Path) -> None:
    report = proven(certificate)
    found = outcomes(report)
    assert list(found) == [check.id for check in GATEWAY_CHECKS]
    assert found.pop("gateway-alone") is None, "on loopback nothing is shown by that"
    assert set(found.values()) == {True}, report.checks
    assert "TLSv1.3, certificate valid until" in next(c.detail for c in report.checks if c.id == "gateway-tls")
    assert report.ok


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("methods", "gateway-paths"),
        ("leaks", "gateway-credentials"),
        ("no-bearer", "gateway-credentials"),
        ("basic", "gateway-credentials"),
        ("keepable", "gateway-cache"),
        ("asks", "gateway-cache"),
        ("no-chunks", "gateway-framing"),
        ("small", "gateway-framing"),
        ("decodes", "gateway-framing"),
        ("any-origin", "gateway-origins"),
    ],
)
def test_each_fault_is_seen_by_its_check(certificate: Path, fault: str, check: str) -> None:
    report = proven(certificate, fault)
    assert [name for name, ok in outcomes(report).items() if ok is False] == [check]
    assert not report.ok
    failed = next(result for result in report.checks if result.id == check)
    assert failed.cause
    assert failed.remedy


def test_what_cannot_be_shown_is_skipped(certificate: Path) -> None:
    assert outcomes(proven(certificate, "no-cache"))["gateway-cache"] is None
    assert outcomes(proven(certificate, insecure=True))["gateway-tls"] is None


def test_a_daemon_beside_its_gateway_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Seen:
        target = Target("https", "192.0.2.1", 443)
        options = Options(timeout=1)

    monkeypatch.setattr(gateway, "request", lambda *_, **__: type("Answer", (), {"status": 401}))
    with pytest.raises(Failed) as failed:
        gateway._behind(Seen())  # type: ignore[arg-type]
    assert failed.value.outcome.cause_id == "gateway-bypassed"


def test_a_gateway_without_tls_is_none() -> None:
    from tests.unit.fake_slurmrestd import serving as plainly  # noqa: PLC0415 - another one of that name is above

    with plainly(FakeSlurmrestd(STYLES["24.11"])) as target:
        report = verify([], ALICE, Options(timeout=5), checks=NEEDED, gateways=[target], gateway_checks=GATEWAY_CHECKS)
    assert outcomes(report)["gateway-tls"] is False
    assert FOREIGN.startswith("https://")


# --- logins ----------------------------------------------------------------------------------------------------------


def logged_in(certificate: Path, tmp_path: Path, *faults: str, by_certificate: bool = False) -> Report:
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_text("geheim\n")
    context = Tls(cacert=str(certificate / "certificate.pem")).context()
    with serving(LoginGateway(*faults), certificate) as target:
        who = credentials_of(target, "alice", None if by_certificate else str(password), context)
        assert isinstance(who, CertificateCredentials if by_certificate else SessionCredentials)
        how = {"context": context, "gateways": [target], "gateway_checks": GATEWAY_CHECKS}
        return verify([], who, Options(timeout=5), checks=OF_LOGINS, **how)  # type: ignore[arg-type]


def test_a_login_passes_what_a_token_passes(certificate: Path, tmp_path: Path) -> None:
    report = logged_in(certificate, tmp_path)
    assert report.ok, report.checks
    found = {check.id: check for check in report.checks}
    assert found["gateway-credentials"].detail.startswith("alice, by the login")
    assert found["slurm-diag"].ok
    assert (found["no-token"].ok, found["bad-token"].ok, found["other-user"].ok) == (True, True, None)


def test_a_certificate_goes_with_every_request(certificate: Path, tmp_path: Path) -> None:
    report = logged_in(certificate, tmp_path, "certified", by_certificate=True)
    found = {check.id: check for check in report.checks}
    assert found["gateway-credentials"].detail == "alice, by the client certificate"
    assert [found[name].ok for name in ("no-token", "bad-token", "other-user")] == [None] * 3
    assert report.ok, report.checks


def test_a_page_in_place_of_the_session_is_a_failed_check(certificate: Path, tmp_path: Path) -> None:
    report = logged_in(certificate, tmp_path, "page")
    assert outcomes(report)["gateway-credentials"] is False


def test_a_name_of_slurm_s_is_no_login(certificate: Path, tmp_path: Path) -> None:
    report = logged_in(certificate, tmp_path, "names")
    assert outcomes(report)["gateway-credentials"] is False


def test_logins_that_are_refused(certificate: Path, tmp_path: Path) -> None:
    context = Tls(cacert=str(certificate / "certificate.pem")).context()
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_text("falsch\n")
    with serving(LoginGateway(), certificate) as target:
        with pytest.raises(SlurmrestError, match="refuses the login of alice: 401, The login is refused") as refused:
            credentials_of(target, "alice", str(password), context)
        assert "falsch" not in str(refused.value)
    with (
        serving(LoginGateway("certified", "other"), certificate) as target,
        pytest.raises(SlurmrestError, match="knows this login as 'bob', and not as alice"),
    ):
        credentials_of(target, "alice", None, context)
