"""Table, JSON and curl lines: what they hold, and that the curl lines do the same when they are pasted."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from slurmrest.auth import bearer, jwt
from slurmrest.rest.client import Credentials
from slurmrest.rest.tls import Tls
from slurmrest.verify.report import LIMITATIONS
from slurmrest.verify.run import JobOptions, Options, Report, Result, as_dict, verify
from slurmrest.verify.table import TokenSource, curl_line, render_curl, render_json, render_table

from tests.unit.fake_slurmrestd import KEY, STYLES, FakeSlurmrestd, serving, token
from tests.unit.rest.test_client import self_signed

ROOT = Credentials("root", token("root"))
ALICE = Credentials("alice", token("alice"))


def result(check_id: str, ok: bool | None, *words: str) -> Result:
    detail, cause, remedy = (*words, "", "", "")[:3]
    return Result(check_id, f"what {check_id} proves", ok, 0.25, detail, cause, remedy)


REPORT = Report(
    url="http://rest:6820",
    slurm_version="24.11.5",
    api_versions=("v0.0.42",),
    api_version="v0.0.42",
    checks=(
        result("reach", True, "HTTP answers"),
        result("slurm-diag", False, "511: no", "the token expired", "Get a new one."),
        result("slurmdb-diag", False, "502: no", "the token expired", "Get a new one."),
        result("job", None, "root is not an ordinary user", "", "Name one."),
    ),
    seconds=0.5,
    requests=7,
)


def test_the_table() -> None:
    assert render_table(REPORT).splitlines() == [
        "http://rest:6820  Slurm 24.11.5",
        "",
        "  ok       reach                  HTTP answers",
        "  FAILED   slurm-diag             511: no",
        "                                  proves: what slurm-diag proves",
        "                                  cause:  the token expired",
        "                                  remedy: Get a new one.",
        "  FAILED   slurmdb-diag           502: no",
        "                                  proves: what slurmdb-diag proves",
        "                                  cause:  as for slurm-diag",
        "  skipped  job                    root is not an ordinary user",
        "                                  remedy: Name one.",
        "",
        f"  note: {LIMITATIONS[0]}",
        "FAILED: 1 ok, 2 failed, 1 skipped; 7 requests in 0.50 s",
    ]


def test_colour_only_when_asked_and_without_changing_the_text() -> None:
    assert "\033" not in render_table(REPORT)
    coloured = render_table(REPORT, colour=True)
    assert "\033[1;31mFAILED" in coloured
    assert re.sub(r"\033\[[0-9;]*m", "", coloured) == render_table(REPORT)


def test_the_json() -> None:
    text = render_json(REPORT)
    assert text.endswith("}\n")
    assert json.loads(text) == as_dict(REPORT)
    assert json.loads(text)["checks"][1] == {
        "id": "slurm-diag",
        "ok": False,
        "seconds": 0.25,
        "detail": "511: no",
        "cause": "the token expired",
        "remedy": "Get a new one.",
    }


needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")


@needs_curl
@pytest.mark.parametrize("release", STYLES)
def test_curl_lines_ask_the_same_when_pasted(release: str, tmp_path: Path) -> None:
    for name, credentials in (("root's token", ROOT), ("alice", ALICE)):
        (tmp_path / name).write_text(f"SLURM_JWT={credentials.token.reveal()}\n")
    daemon = FakeSlurmrestd(STYLES[release])
    socket_path = tmp_path / "a socket"
    with serving(daemon) as tcp, serving(daemon, socket_path) as unix:
        options = Options(job=JobOptions(directory=str(tmp_path)))
        report = verify([tcp, unix], ROOT, options, job_credentials=ALICE)
        asked = {key(item) for item in daemon.requests}
        daemon.requests.clear()
        lines = render_curl(
            report, TokenSource("root", str(tmp_path / "root's token")), TokenSource("alice", str(tmp_path / "alice"))
        )
        private = tmp_path / "private"
        private.mkdir()
        done = paste(lines, {"TMPDIR": str(private), "http_proxy": "http://127.0.0.1:9"})
    assert report.ok
    assert done.stderr == ""
    assert {key(item) for item in daemon.requests} == asked
    printed = [int(line) for line in done.stdout.splitlines() if re.fullmatch(r"\d{3}", line)]
    expected = [{curl_line(exchange): exchange.status for exchange in check.exchanges} for check in report.checks]
    assert printed == [status for check in expected for status in check.values()]
    assert list(private.iterdir()) == []


@needs_curl
@pytest.mark.parametrize("release", STYLES)
def test_curl_lines_sign_with_the_key(release: str, tmp_path: Path) -> None:
    key_file = tmp_path / "a key"
    key_file.write_bytes(b"the key of the fake slurmctld, 32+ bytes")
    daemon = FakeSlurmrestd(STYLES[release])
    sources = TokenSource("root", key=str(key_file)), TokenSource("alice", key=str(key_file))
    with serving(daemon) as target:
        report = verify([target], ROOT, job_credentials=ALICE, key=KEY)
        asked = {shape(item) for item in daemon.requests}
        daemon.requests.clear()
        done = paste(render_curl(report, *sources), {"TMPDIR": str(tmp_path)})
    assert report.ok
    assert done.stderr == ""
    assert {shape(item) for item in daemon.requests} == asked
    tokens = [headers.get("x-slurm-user-token", "") for *_request, headers in daemon.requests]
    found = [jwt.inspect(bearer.Token(value)) for value in tokens if value.count(".") == 2]
    assert {(item.user, item.algorithm, (item.expires or 0) > time.time()) for item in found} == {
        ("root", "HS256", True),
        ("alice", "HS256", True),
        ("root", "none", True),
        ("root", "HS256", False),
        ("", "HS256", True),
    }
    statuses = {curl_line(exchange): exchange.status for check in report.checks for exchange in check.exchanges}
    printed = [int(line) for line in done.stdout.splitlines() if re.fullmatch(r"\d{3}", line)]
    assert set(printed) == set(statuses.values())


def shape(request: tuple[str, str, dict[str, str]]) -> tuple[str, str, str | None, bool]:
    method, path, headers = request
    return method, path, headers.get("x-slurm-user-name"), "x-slurm-user-token" in headers


@needs_curl
def test_curl_lines_speak_https_as_the_verification_did(tmp_path: Path) -> None:
    certificate, key_file = self_signed(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key_file)
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(certificate)
    daemon = FakeSlurmrestd(STYLES["24.11"])
    tls = Tls(str(certificate), str(certificate), str(key_file))
    source = TokenSource("root", variable="MY_TOKEN")
    with serving(daemon, tls=server) as target:
        report = verify([target], ROOT, context=tls.context())
        daemon.requests.clear()
        done = paste(render_curl(report, source, source, tls), {"MY_TOKEN": ROOT.token.reveal()})
    assert (report.ok, done.stderr) == (True, "")
    assert ("GET", "/slurm/v0.0.42/ping", ROOT.token.reveal(), "root") in {key(item) for item in daemon.requests}
    line = curl_line(report.checks[0].exchanges[0], Tls(insecure=True))
    assert "--insecure" in line
    assert "--cacert" not in line


def key(request: tuple[str, str, dict[str, str]]) -> tuple[str, str, str | None, str | None]:
    method, path, headers = request
    return method, path, headers.get("x-slurm-user-token"), headers.get("x-slurm-user-name")


def paste(lines: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the lines as a shell reads a pasted block, and see on the way that header files are private."""
    look = 'for f in "$TMPDIR"/tmp.*; do [ ! -e "$f" ] || [ "$(stat -c %a "$f")" = 600 ] || echo open >&2; done'
    watch = f"umask 022; trap {shlex.quote(look)} DEBUG\n"
    return subprocess.run(
        ["bash", "--norc", "-s"],
        input=watch + lines,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


@needs_curl
def test_curl_with_the_token_from_the_environment() -> None:
    daemon = FakeSlurmrestd(STYLES["24.11"])
    with serving(daemon) as target:
        report = verify([target], ROOT)
        daemon.requests.clear()
        source = TokenSource("root", variable="MY_TOKEN")
        paste(render_curl(report, source, source), {"MY_TOKEN": ROOT.token.reveal()})
    assert ("GET", "/slurm/v0.0.42/ping", ROOT.token.reveal(), "root") in {key(item) for item in daemon.requests}


@needs_curl
def test_curl_with_a_token_from_scontrol(tmp_path: Path) -> None:
    scontrol = tmp_path / "scontrol"
    asked = '[ -z "$SLURM_JWT" ] && [ "$*" = "token username=root" ]'
    scontrol.write_text(f"#!/bin/sh\n{asked} && echo SLURM_JWT={ROOT.token.reveal()}\n")
    scontrol.chmod(0o755)
    daemon = FakeSlurmrestd(STYLES["24.11"])
    with serving(daemon) as target:
        report = verify([target], ROOT)
        daemon.requests.clear()
        lines = render_curl(report, TokenSource("root"), TokenSource("root"))
        paste(lines, {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JWT": "daemon"})
    assert ("GET", "/slurm/v0.0.42/ping", ROOT.token.reveal(), "root") in {key(item) for item in daemon.requests}


def test_no_line_holds_a_token() -> None:
    with serving(FakeSlurmrestd(STYLES["24.11"])) as target:
        report = verify([target], ROOT, Options(job=JobOptions(1)), job_credentials=ALICE)
    lines = render_curl(report, TokenSource("root", "/t"), TokenSource("alice", "/j"))
    for credentials in (ROOT, ALICE):
        for part in credentials.token.reveal().split("."):
            assert part not in lines


def test_nothing_to_ask_again_when_nothing_was_asked() -> None:
    assert "curl" not in render_curl(REPORT, TokenSource("root", "/t"), TokenSource("root", "/t")).replace(
        "that curl reads", ""
    )


def test_a_hostile_user_name_stays_in_its_quotes() -> None:
    with serving(FakeSlurmrestd(STYLES["24.11"])) as target:
        report = verify([target], Credentials("a'$(touch /tmp/x)", ROOT.token))
    exchange = next(item for check in report.checks for item in check.exchanges if item.user)
    assert "'X-SLURM-USER-NAME: a'\"'\"'$(touch /tmp/x)'" in curl_line(exchange)
    assert "username='a'\"'\"'$(touch /tmp/x)'" in TokenSource(exchange.user).command()
