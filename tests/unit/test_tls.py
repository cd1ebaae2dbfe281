"""TLS from end to end: an authority made here, a daemon whose certificate is for another name than its address."""

from __future__ import annotations

import http.server
import os
import ssl
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from slurmrest.doctor import inquiry
from slurmrest.rest.client import ClientError, Target, request
from slurmrest.rest.session import Exchange
from slurmrest.rest.tls import Tls
from slurmrest.transaction.asking import REVISION_HEADER, probe_error
from slurmrest.transaction.probes import Probe
from slurmrest.verify.table import curl_line

from slurmrest_toolkit import images

from .fake_slurmrestd import STYLES, FakeSlurmrestd, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "rest.example.org"


def openssl(directory: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)


def test_the_certificate_of_a_test_cluster_is_good_for_strict_clients(tmp_path: Path) -> None:
    """Python 3.13 asks for what many certificates leave out."""
    script, place = Path(images.__file__).with_name("certify.sh"), tmp_path / "place"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run(["sh", str(script), str(place)], check=True, env=environment)
    strict = ("verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "localhost")
    openssl(place, *strict, "-CAfile", "authority.pem", "certificate.pem")
    assert (place / "key.pem").stat().st_mode & 0o777 == 0o600


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with ca.pem, and server.pem and server.key, which it vouches for under NAME."""
    made = tmp_path_factory.mktemp("authority")
    key = ["-newkey", "rsa:2048", "-nodes"]
    (made / "ca.cnf").write_text(
        "[req]\ndistinguished_name=dn\nx509_extensions=ca\n[dn]\n[ca]\nbasicConstraints=CA:TRUE\n"
    )
    (made / "names").write_text(f"subjectAltName=DNS:{NAME}\n")
    ca = ["-config", "ca.cnf", "-subj", "/CN=an authority", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem"]
    openssl(made, "req", "-x509", *key, *ca)
    openssl(
        made, "req", "-new", *key, "-config", "ca.cnf", "-subj", f"/CN={NAME}", "-keyout", "server.key", "-out", "csr"
    )
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
    openssl(made, "x509", "-req", "-in", "csr", *signed, "-out", "server.pem")
    return made


@pytest.fixture
def daemon(authority: Path) -> Iterator[Target]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    with serving(FakeSlurmrestd(STYLES["24.11"]), tls=context) as target:
        yield target


def test_the_certificate_is_checked_for_the_name_that_is_given(authority: Path, daemon: Target) -> None:
    tls = Tls(cacert=str(authority / "ca.pem"), name=NAME)
    target = tls.target(daemon.url)
    assert (target.host, target.name, target.is_tls) == ("localhost", NAME, True)
    assert request(target, "GET", "/openapi/v3", context=tls.context()).status == 401
    for other in (Tls(cacert=tls.cacert), Tls(cacert=tls.cacert, name="example.org"), Tls(name=NAME)):
        with pytest.raises(ClientError) as refused:
            request(other.target(daemon.url), "GET", "/openapi/v3", context=other.context())
        assert refused.value.kind == "tls"


def test_a_start_is_proven_over_tls_without_a_secret(daemon: Target) -> None:
    assert probe_error(Probe("listeners", (daemon.url,)), lambda _argv: None) is None  # type: ignore[arg-type]


def test_the_doctor_asks_over_tls_whom_the_certificate_is_for(authority: Path, daemon: Target) -> None:
    tls = Tls(cacert=str(authority / "ca.pem"), name=NAME)
    (asked,) = inquiry.inquire([daemon.url], None, accounting=False, tls=tls)["listeners"]
    assert asked["status"] == 401
    (asked,) = inquiry.inquire([daemon.url], None, accounting=False)["listeners"]
    assert (asked["status"], asked["kind"]) == (None, "tls")


def test_the_curl_line_asks_the_same(authority: Path) -> None:
    tls = Tls(cacert=str(authority / "ca.pem"), name=NAME)
    target = tls.target("https://127.0.0.1:6820")
    line = curl_line(Exchange(target, "GET", "/openapi/v3", "none", "", None, 401), tls)
    assert f"--connect-to {NAME}:6820:127.0.0.1:6820" in line
    assert f"--cacert {authority}/ca.pem" in line
    assert line.endswith(f"https://{NAME}:6820/openapi/v3")


def test_a_gateway_is_asked_under_its_name_for_its_revision(authority: Path) -> None:
    """Another server of the same address, workers that are not gone yet, and no daemon behind it are told apart."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    seen: list[tuple[str, str | None]] = []
    status, revision = 200, "abc"

    class Gateway(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers["Host"]))
            self.send_response(status)
            self.send_header(REVISION_HEADER, revision)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - named so by the library
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            probe = Probe.from_mapping({"gateway": [f"127.0.0.1:{server.server_address[1]}", NAME, "abc"]})
            assert probe_error(probe) is None
            assert seen == [("/openapi/v3", NAME)]
            status = 401
            assert probe_error(probe) is None, "a daemon that refuses a token is there"
            status = 502
            assert "no slurmrestd behind it gave an answer" in str(probe_error(probe))
            revision = "old"
            assert "not from the new configuration" in str(probe_error(probe))
        finally:
            server.shutdown()
            thread.join()
    assert "refused" in str(probe_error(probe))
