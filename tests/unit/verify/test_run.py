"""Every check, seen passing on a healthy daemon and failing, for the right reason, on a broken one."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slurmrest.auth import bearer, jwt
from slurmrest.auth.bearer import TOKEN_HEADER
from slurmrest.errors import InputError
from slurmrest.rest import causes, client, session
from slurmrest.rest.client import Credentials, Target
from slurmrest.rest.session import NOT_ORDINARY
from slurmrest.verify import capacity as checks_capacity
from slurmrest.verify import jobs as checks_jobs
from slurmrest.verify import run as verify
from slurmrest.verify.checks import LISTENERS
from slurmrest.verify.formats import render_junit, render_nagios
from slurmrest.verify.html import render_html
from slurmrest.verify.run import CHECKS, JobOptions, Options, Report, Result, with_process
from slurmrest.verify.table import render_json, render_table

from tests.unit.fake_slurmrestd import KEY, STYLES, FakeSlurmrestd, serving, token
from tests.unit.rest.test_answers import slurmish

ROOT = Credentials("root", token("root"))
ALICE = Credentials("alice", token("alice"))
TOKEN = TOKEN_HEADER.lower()

every_release = pytest.mark.parametrize("release", STYLES)


def run(daemon: FakeSlurmrestd, credentials: Credentials = ROOT, key: jwt.Key | None = None, **options: Any) -> Report:
    with serving(daemon) as target:
        return verify.verify([target], credentials, Options(**options), job_credentials=ALICE, key=key)


def check(report: Report, check_id: str) -> Result:
    return next(result for result in report.checks if result.id == check_id)


def failures(report: Report) -> list[str]:
    return [result.id for result in report.checks if result.ok is False]


@every_release
def test_a_healthy_daemon_passes_every_check(release: str, tmp_path: Path) -> None:
    daemon = FakeSlurmrestd(STYLES[release])
    with serving(daemon) as tcp, serving(daemon, tmp_path / "socket") as unix:
        options = Options(job=JobOptions(directory=str(tmp_path)), idle_clients=3)
        report = verify.verify([tcp, unix], ROOT, options, job_credentials=ALICE, key=KEY)
    assert [(result.id, result.ok) for result in report.checks if result.ok is not True] == []
    listener = [result.id for result in report.checks if result.id.endswith(f"@unix:{tmp_path}/socket")]
    assert [name.partition("@")[0] for name in listener] == ["reach", "slurm-diag", "no-token", "bad-token"]
    assert [result.id for result in report.checks if "@" not in result.id] == [item.id for item in CHECKS]
    assert report.ok
    assert report.slurm_version == STYLES[release].version
    assert report.api_versions == STYLES[release].apis
    assert report.api_version == STYLES[release].apis[-1]
    assert list(tmp_path.glob("*.out")) == []


@every_release
def test_the_report_says_the_same_to_programs(release: str) -> None:
    report = verify.as_dict(run(FakeSlurmrestd(STYLES[release])))
    keys = ["schema", "ok", "url", "slurm_version", "api_versions", "checks", "warnings", "limitations"]
    assert list(report) == keys
    assert report["warnings"] == []
    assert "nbf, iat, iss and aud" in report["limitations"][0]
    assert report["ok"] is True
    for entry in report["checks"]:
        assert list(entry) == ["id", "ok", "seconds", "detail", "cause", "remedy"]
        assert entry["ok"] in (True, None)
        assert isinstance(entry["seconds"], float)
        assert entry["detail"]


@every_release
def test_few_requests(release: str, tmp_path: Path) -> None:
    daemon = FakeSlurmrestd(STYLES[release])
    with serving(daemon) as tcp, serving(daemon, tmp_path / "socket") as unix:
        report = verify.verify([tcp, unix], ROOT, job_credentials=ALICE, key=KEY)
    assert report.requests == len(daemon.requests) < 40


@every_release
def test_both_headers_always_go_together(release: str) -> None:
    daemon = FakeSlurmrestd(STYLES[release])
    run(daemon)
    for _method, _path, headers in daemon.requests:
        assert ("x-slurm-user-token" in headers) == ("x-slurm-user-name" in headers)


def test_every_check_says_what_it_proves_and_has_its_own_id() -> None:
    assert len({item.id for item in CHECKS}) == len(CHECKS)
    assert all(item.title for item in CHECKS)


# --- reach ------------------------------------------------------------------------------------------------------------


def test_nothing_there_is_one_failure_and_no_guesses(tmp_path: Path) -> None:
    report = verify.verify([Target("unix", path=str(tmp_path / "none"))], ROOT)
    assert failures(report) == ["reach"]
    assert check(report, "reach").cause == "slurmrestd is not running, or has another socket"
    assert {result.detail for result in report.checks if result.ok is None} == {"nothing answers there (see reach)"}
    assert report.slurm_version is None
    assert report.requests == 1


def test_the_other_listener_carries_the_checks(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = Target("http", "127.0.0.1", server.getsockname()[1])
    with serving(FakeSlurmrestd(STYLES["24.11"]), tmp_path / "socket") as unix:
        report = verify.verify([closed, unix], ROOT)
    assert failures(report) == ["reach"]
    assert check(report, f"api-versions@{unix}").ok is True
    assert check(report, "slurm-diag").detail == "nothing answers there (see reach)"
    assert report.slurm_version == "24.11.5"
    assert report.url == closed.url


def test_something_that_is_not_http() -> None:
    with banner(b"SSH-2.0-OpenSSH_9.2\r\n") as target:
        report = verify.verify([target], ROOT, Options(timeout=2))
    assert failures(report) == ["reach"]
    assert "another service" in check(report, "reach").cause


@contextlib.contextmanager
def banner(words: bytes) -> Iterator[Target]:
    import threading  # noqa: PLC0415 - only here

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _address = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(words)

        thread = threading.Thread(target=serve)
        thread.start()
        yield Target("http", "127.0.0.1", server.getsockname()[1])
        thread.join()


# --- api-versions -----------------------------------------------------------------------------------------------------


def test_another_version_can_be_pinned() -> None:
    daemon = FakeSlurmrestd(STYLES["26.05"])
    report = run(daemon, api_version="v0.0.43")
    assert report.ok
    assert report.api_version == "v0.0.43"
    assert {path.split("/")[2] for _method, path, _headers in daemon.requests if path.startswith("/slurm")} == {
        "v0.0.43"
    }


def test_a_pinned_version_that_is_not_served() -> None:
    report = run(FakeSlurmrestd(STYLES["24.11"]), api_version="v0.0.45")
    assert failures(report) == ["api-versions"]
    failed = check(report, "api-versions")
    assert failed.detail == "v0.0.45 is not served; served: v0.0.40 v0.0.41 v0.0.42"
    assert failed.remedy == "Use one of v0.0.40 v0.0.41 v0.0.42."


@pytest.mark.parametrize("value", ["latest", "0.0.42", "v0.0", "v0.0.42/../x", "v0.0.42\n"])
def test_a_pin_must_be_a_version(value: str) -> None:
    with pytest.raises(InputError, match="api_version"):
        Options(api_version=value)


def test_a_pin_older_than_the_table() -> None:
    with pytest.raises(InputError, match=r"v0\.0\.20"):
        verify.verify([Target("http", "h", 1)], ROOT, Options(api_version="v0.0.20"))


def test_a_pinned_version_is_used_where_the_document_is_withheld() -> None:
    daemon = FakeSlurmrestd(STYLES["24.11"], instead={"openapi": (403, "no")})
    assert failures(run(daemon)) == ["api-versions"]
    assert check(run(daemon), "slurm-diag").ok is None
    pinned = run(daemon, api_version="v0.0.42")
    assert failures(pinned) == ["api-versions"]
    assert check(pinned, "slurm-diag").ok is True


@pytest.mark.parametrize("document", [{}, {"paths": {}}, {"paths": {"/slurmdb/v0.0.42/diag": {}}}, {"paths": [1]}])
def test_a_document_without_versions(document: dict[str, Any]) -> None:
    report = run(FakeSlurmrestd(STYLES["24.11"], instead={"openapi": (200, document)}))
    assert failures(report) == ["api-versions"]
    assert "not loaded" in check(report, "api-versions").cause


def test_versions_left_out_are_told_but_no_fault() -> None:
    daemon = FakeSlurmrestd(replace(STYLES["26.05"], apis=("v0.0.42", "v0.0.44")))
    detail = check(run(daemon), "api-versions").detail
    assert "checked with v0.0.44" in detail
    assert "v0.0.43 v0.0.45 of 26.05 left out by the options" in detail
    assert "v0.0.42 goes with the next upgrade" in detail


def test_a_release_newer_than_the_table_is_verified_with_a_warning() -> None:
    daemon = FakeSlurmrestd(replace(STYLES["26.05"], version="27.11.0", apis=("v0.0.45", "v0.0.48")))
    report = run(daemon)
    assert report.ok
    assert report.slurm_version == "27.11.0"
    assert "v0.0.48 not known of" in check(report, "api-versions").detail
    assert "27.11.0 is not in the release table" in check(report, "api-versions").detail


def test_a_daemon_that_hides_its_version_is_known_by_what_it_serves() -> None:
    style = STYLES["22.05"]
    daemon = FakeSlurmrestd(
        style, instead={"diag": (200, {"errors": [], "statistics": {"a": 1}})}, faults={"any-token"}
    )
    report = run(daemon)
    assert report.slurm_version is None
    assert "does not name its Slurm version" in check(report, "api-versions").detail
    daemon.instead = {"diag": (500, {"errors": [{"error": "Unspecified error", "error_number": -1}]})}
    assert "AuthAltTypes=auth/jwt is missing in slurm.conf" in check(run(daemon), "slurm-diag").cause


# --- diag -------------------------------------------------------------------------------------------------------------


@every_release
def test_slurmctld_down(release: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causes, "PATIENCE", 0.05)  # seconds that the fake takes instead of the real one's nine
    daemon = FakeSlurmrestd(STYLES[release], faults={"ctld-down"})
    report = run(daemon)
    assert failures(report)[0] == "slurm-diag"
    assert check(report, "slurm-diag").cause == "slurmctld cannot be reached from the host of slurmrestd"
    assert check(report, "slurmdb-diag").ok is True
    assert report.slurm_version == STYLES[release].version
    waiting = [path for _method, path, headers in daemon.requests if "/slurm/" in path and headers.get(TOKEN)]
    assert [path.rpartition("/")[2] for path in waiting] == ["ping", "diag"]


@every_release
def test_a_token_that_only_slurmdbd_accepts(release: str) -> None:
    report = run(FakeSlurmrestd(STYLES[release], faults={"no-alt-auth"}))
    found = check(report, "slurm-diag")
    assert "AuthAltTypes" in found.cause + found.remedy
    assert "expired" not in found.cause
    assert [exchange.path.rpartition("/")[2] for exchange in found.exchanges] == ["diag"]


def test_one_that_hangs_is_waited_for_once() -> None:
    daemon = FakeSlurmrestd(STYLES["24.11"], faults={"diag-hangs"})
    report = run(daemon, timeout=0.3)
    waited = [path for _method, path, headers in daemon.requests if "/slurm/" in path and headers.get(TOKEN)]
    assert [path.rpartition("/")[2] for path in waited] == ["ping", "diag"]
    assert check(report, "slurm-diag").detail.endswith("within 0.3 s")
    assert report.slurm_version is None


@every_release
def test_a_token_of_another_key(release: str) -> None:
    stranger = Credentials("root", token("root", key=jwt.Key(b"k" * 32)))
    report = run(FakeSlurmrestd(STYLES[release]), stranger)
    assert "slurm-diag" in failures(report)
    assert "another key" in check(report, "slurm-diag").cause
    assert "another key" in check(report, "slurmdb-diag").cause
    assert "scontrol token" in check(report, "slurm-diag").remedy


@every_release
def test_an_expired_token_is_recognised_here_because_the_daemon_does_not_tell(release: str) -> None:
    late = Credentials("root", token("root", lifespan=-90))
    report = run(FakeSlurmrestd(STYLES[release]), late)
    assert check(report, "slurm-diag").ok is False
    assert check(report, "slurm-diag").cause.startswith("the token expired 9")


@every_release
def test_slurmrestd_without_jwt(release: str) -> None:
    report = run(FakeSlurmrestd(STYLES[release], faults={"no-jwt"}))
    assert failures(report) == ["api-versions"]
    assert "SLURM_JWT=daemon" in check(report, "api-versions").remedy


@pytest.mark.parametrize("statistics", [{}, None, [], "x", 0])
def test_a_200_without_statistics_is_a_failure(statistics: Any) -> None:
    body = {"meta": {}, "errors": [], "statistics": statistics}
    report = run(FakeSlurmrestd(STYLES["24.11"], instead={"diag": (200, body), "slurmdb/diag": (200, body)}))
    for check_id in ("slurm-diag", "slurmdb-diag"):
        assert check(report, check_id).detail == "200, but statistics is missing or empty"
    assert check(report, "slurmdb-diag").cause == "slurmrestd did not get an answer from slurmdbd, although it says 200"


def test_a_200_with_errors_is_a_failure() -> None:
    body = {"errors": [{"error": "half broken", "error_number": 9}], "statistics": {"a": 1}}
    report = run(FakeSlurmrestd(STYLES["24.11"], instead={"diag": (200, body)}))
    assert check(report, "slurm-diag").detail == "200: half broken (9)"


@pytest.mark.parametrize("body", [b"", b"<html>login</html>", b"[]", b"null", b'"x"', b"\xff"])
def test_a_200_that_is_no_json_object_is_a_failure(body: bytes) -> None:
    report = run(FakeSlurmrestd(STYLES["24.11"], instead={"diag": (200, body)}))
    assert check(report, "slurm-diag").detail == f"200, but the body is not a JSON object ({len(body)} bytes)"


def test_a_failure_without_errors_is_not_explained_away() -> None:
    body = {"meta": {}, "errors": [], "statistics": {"a": 1}}
    report = run(FakeSlurmrestd(STYLES["24.11"], instead={"diag": (500, body)}))
    assert check(report, "slurm-diag").detail == "500, but no errors in the answer"
    assert "a fault of this API version" in check(report, "slurm-diag").cause


@every_release
def test_a_token_of_another_user(release: str) -> None:
    report = run(FakeSlurmrestd(STYLES[release]), Credentials("bob", token("alice")))
    expected = "the token is alice's, and only root and SlurmUser may act for another user (bob)"
    assert check(report, "slurm-diag").cause == check(report, "slurmdb-diag").cause == expected


# --- slurmdb-diag -----------------------------------------------------------------------------------------------------


@every_release
def test_slurmdbd_down(release: str) -> None:
    report = run(FakeSlurmrestd(STYLES[release], faults={"dbd-down"}))
    assert failures(report) == ["slurmdb-diag"]
    assert "slurmdbd" in check(report, "slurmdb-diag").cause


@every_release
def test_an_ordinary_token_cannot_prove_slurmdbd_statistics(release: str) -> None:
    report = run(FakeSlurmrestd(STYLES[release]), ALICE)
    found = check(report, "slurmdb-diag")
    assert found.ok is None
    assert "clusters: 200" in found.detail
    assert "administrator" in found.remedy
    assert report.ok


def test_an_ordinary_token_still_finds_slurmdbd_down() -> None:
    denied = {"errors": [{"error": "Access/permission denied", "error_number": 2002}]}
    down = {"errors": [{"error": "Unable to connect to database", "error_number": 7000}]}
    daemon = FakeSlurmrestd(STYLES["24.11"], instead={"slurmdb/diag": (500, denied), "slurmdb/clusters": (502, down)})
    found = check(run(daemon, ALICE), "slurmdb-diag")
    assert (found.ok, "cannot talk to slurmdbd" in found.cause) == (False, True)


def test_without_accounting() -> None:
    daemon = FakeSlurmrestd(STYLES["24.11"], accounting=False)
    assert check(run(daemon), "slurmdb-diag").detail == "slurmrestd serves nothing below /slurmdb/: no accounting"
    demanded = check(run(daemon, accounting=True), "slurmdb-diag")
    assert (demanded.ok, demanded.cause) == (False, "the plugin for slurmdbd is not loaded")
    daemon = FakeSlurmrestd(STYLES["24.11"], faults={"dbd-down"})
    left_out = check(run(daemon, accounting=False), "slurmdb-diag")
    assert (left_out.ok, left_out.detail) == (None, "skipped as asked: no accounting")
    assert not [path for _method, path, _headers in daemon.requests if path.startswith("/slurmdb")]


# --- ping, nodes, partitions ------------------------------------------------------------------------------------------


@every_release
def test_ping_says_down_with_200(release: str) -> None:
    report = run(FakeSlurmrestd(STYLES[release], faults={"ping-down"}))
    assert failures(report) == ["ping"]
    assert check(report, "ping").detail == "200, but no answer from slurmctld on ctl"


@every_release
@pytest.mark.parametrize(
    ("controllers", "warning"),
    [
        ({"ctl1": False, "ctl2": True}, "ctl2 is in charge: the primary controller ctl1 does not answer."),
        ({"ctl1": True, "ctl2": False}, "ctl1 is in charge, and nothing takes over from it: ctl2 does not answer."),
        (
            {"ctl1": False, "ctl2": False, "ctl3": True},
            "ctl3 is in charge: the primary controller ctl1 does not answer.",
        ),
    ],
)
def test_one_controller_of_several_is_enough_and_the_report_names_it(
    release: str, controllers: dict[str, bool], warning: str
) -> None:
    report = run(FakeSlurmrestd(STYLES[release], controllers=controllers))
    assert failures(report) == []
    assert report.ok
    assert report.warnings == (warning,)
    down = ", ".join(name for name, up in controllers.items() if not up)
    assert check(report, "ping").detail.endswith(f"which is enough, and not on {down}")


@every_release
def test_what_a_daemon_says_commands_no_terminal_and_repeats_no_token(release: str) -> None:
    """Names of controllers and the version are its words, and in no answer of a check alone."""
    secret = ROOT.token.reveal()
    names = {f"ctl1\x1b]0;x\x07\n{secret}": False, "ctl2\x9b2J": True}
    style = STYLES[release]
    strange = {"meta": {"slurm": {"release": "24.11.5\x1b[31m"}}, "errors": [], "statistics": {"a": 1}}
    daemon = FakeSlurmrestd(style, controllers=names, instead={"diag": (200, strange)})
    report = run(daemon)
    assert len(report.warnings) == 1
    shown = (
        render_table(report),
        render_json(report),
        render_nagios(report),
        render_junit(report),
        render_html(report),
    )
    assert not [text for text in shown if re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text) or secret in text]
    assert ET.fromstring(render_junit(report)).tag == "testsuites"


@every_release
def test_all_controllers_of_several_down_is_a_failure(release: str) -> None:
    report = run(FakeSlurmrestd(STYLES[release], controllers={"ctl1": False, "ctl2": False}))
    assert check(report, "ping").detail == "200, but no answer from slurmctld on ctl1, ctl2"
    assert report.warnings == ()


def test_while_nobody_is_in_charge_the_report_says_so_and_comes_soon(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(session, "TAKEOVER_TIMEOUT", 0.2)
    daemon = FakeSlurmrestd(STYLES["24.11"], faults={"diag-hangs"}, controllers={"ctl1": False, "ctl2": True})
    with serving(daemon) as tcp, serving(daemon, tmp_path / "socket") as unix:
        report = verify.verify([tcp, unix], ROOT, Options(job=JobOptions()), job_credentials=ALICE, key=KEY)
    assert failures(report) == ["slurm-diag", "ping"]
    words = "no controller is in charge: ctl1 does not answer, and ctl2 has not taken over (yet)"
    assert check(report, "slurm-diag").cause == words
    assert check(report, "ping").cause == words
    assert "SlurmctldTimeout" in check(report, "slurm-diag").remedy
    other = check(report, f"slurm-diag@unix:{tmp_path}/socket")
    assert (other.ok, other.detail) == (None, "no controller is in charge (see slurm-diag)")
    assert len([path for _method, path, _headers in daemon.requests if path.endswith("/diag")]) <= 4
    assert report.warnings == ()


def test_without_a_controller_only_the_listeners_are_asked_and_the_reason_is_a_failed_check() -> None:
    daemon = FakeSlurmrestd(STYLES["24.11"])
    with serving(daemon) as tcp:
        report = verify.verify([tcp], Credentials("root", bearer.Token("none")), Options(), checks=LISTENERS)
    assert verify.without_controller(report, "") is report
    told = verify.without_controller(report, "ctl1 is gone and ctl2 takes over from it")
    assert [(result.id, result.ok) for result in told.checks] == [("reach", True), ("controllers", False)]
    assert told.checks[-1].detail == "ctl1 is gone and ctl2 takes over from it"
    assert not told.ok
    assert daemon.requests[0][1] == "/openapi/v3"


def test_ping_without_controllers() -> None:
    report = run(FakeSlurmrestd(STYLES["24.11"], instead={"ping": (200, {"errors": [], "pings": []})}))
    assert check(report, "ping").detail == "200, but no controller is listed"


@every_release
def test_ping_fails_for_the_reason_that_diag_has(release: str) -> None:
    report = run(FakeSlurmrestd(STYLES[release]), Credentials("root", token("root", lifespan=-90)))
    assert check(report, "ping").cause == check(report, "slurm-diag").cause
    assert check(report, "ping").cause.startswith("the token expired")


def test_what_slurmctld_says_about_slurmdbd_is_laid_at_slurmdbds_door() -> None:
    refused = {
        "errors": [
            {"error": "Protocol authentication error", "description": "Slurmdb query failed", "error_number": 1007}
        ]
    }
    down = {"errors": [{"error": "Connection refused", "description": "Slurmdb query failed", "error_number": 111}]}
    daemon = FakeSlurmrestd(STYLES["24.11"], instead={"partitions": (511, refused)})
    assert check(run(daemon), "partitions").cause.startswith("slurmdbd refuses a token that slurmctld accepts")
    daemon.instead = {"partitions": (500, down)}
    assert check(run(daemon), "partitions").cause.startswith("slurmrestd cannot talk to slurmdbd")


@pytest.mark.parametrize("endpoint", ["nodes", "partitions"])
def test_lists(endpoint: str) -> None:
    many = {"errors": [], endpoint: [{"name": f"n{index}"} for index in range(7)]}
    daemon = FakeSlurmrestd(STYLES["24.11"], instead={endpoint: (200, many)})
    assert check(run(daemon), endpoint).detail == f"7 {endpoint}: n0, n1, n2, n3, n4, …"
    nothing: list[tuple[int, Any]] = [(200, {"errors": [], endpoint: []}), (204, "")]
    for answer in nothing:
        daemon.instead = {endpoint: answer}
        hidden = check(run(daemon), endpoint)
        assert (hidden.ok, f"PrivateData={endpoint}" in hidden.detail) == (None, True)
    daemon.instead = {endpoint: (500, {"errors": [{"error": "broken", "error_number": 1}]})}
    assert failures(run(daemon)) == [endpoint]


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_socket_that_trusts_its_peer_is_found(tmp_path: Path) -> None:
    daemon = FakeSlurmrestd(STYLES["24.11"], faults={"trusts-peer"})
    with serving(daemon, tmp_path / "socket") as target:
        report = verify.verify([target], ROOT)
    assert failures(report) == ["no-token", "bad-token", "alg-none"]
    assert check(report, "no-token").detail == "no token: answered with 200 instead of being refused"
    assert "rest_auth/local" in check(report, "no-token").cause
    assert check(report, "bad-token").remedy == "Give slurmrestd -a rest_auth/jwt."
    assert "in front of slurmrestd" in check(run(daemon), "no-token").cause


def test_a_daemon_that_takes_any_signature_is_found() -> None:
    report = run(FakeSlurmrestd(STYLES["24.11"], faults={"any-token"}), ALICE)
    assert failures(report) == ["bad-token", "alg-none", "other-user"]
    assert check(report, "bad-token").detail.startswith("garbage: answered with 200")


def test_forged_is_tried_besides_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        jwt.Key, "sign", lambda *_arguments: bytes(32)
    )  # a slurmctld whose key makes just this signature
    signed_alike = Credentials("root", token("root"))
    report = run(FakeSlurmrestd(STYLES["24.11"]), signed_alike)
    assert check(report, "bad-token").detail == "forged signature: answered with 200 instead of being refused"


def test_another_status_than_expected_is_still_a_refusal() -> None:
    daemon = FakeSlurmrestd(replace(STYLES["24.11"], bad_token=(500, {"error": "x", "error_number": -1})))
    found = check(run(daemon), "bad-token")
    assert found.ok is True
    assert found.detail == "garbage: 500, forged signature: 500; refused, though this release is known to answer 511"


@every_release
def test_the_expected_statuses(release: str) -> None:
    report = run(FakeSlurmrestd(STYLES[release]))
    assert check(report, "no-token").detail == "no token: 401"
    status = STYLES[release].bad_token[0]
    assert check(report, "bad-token").detail == f"garbage: {status}, forged signature: {status}"


def test_remedies_name_the_service_of_the_cluster(tmp_path: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        closed = Target("http", "127.0.0.1", server.getsockname()[1])
        nowhere = Target.parse(f"unix:{tmp_path}/socket")
        report = verify.verify([closed, nowhere], ROOT, Options(unit="slurmrestd@blue"))
    assert "systemctl status slurmrestd@blue;" in check(report, "reach").remedy
    assert "systemctl cat slurmrestd@blue;" in check(report, f"reach@{nowhere}").remedy
    silent = FakeSlurmrestd(STYLES["24.11"], instead={"diag": (200, {"errors": [], "statistics": {}})})
    assert check(run(silent, unit="slurmrestd@blue"), "slurm-diag").remedy.endswith("-u slurmctld -u slurmrestd@blue")


def test_what_proves_nothing_while_the_good_token_is_refused() -> None:
    report = run(FakeSlurmrestd(STYLES["24.11"], faults={"no-alt-auth"}), job=JobOptions())
    for check_id in ("nodes", "partitions", "no-token", "bad-token", "alg-none", "other-user", "latency", "job"):
        assert check(report, check_id).ok is None
        assert "(see slurm-diag)" in check(report, check_id).detail
    assert check(report, "no-token").detail.startswith("no token: 401; proves nothing")


def test_an_open_door_is_found_even_while_the_good_token_is_refused(tmp_path: Path) -> None:
    daemon = FakeSlurmrestd(STYLES["24.11"], faults={"trusts-peer", "token-breaks"})
    with serving(daemon, tmp_path / "socket") as target:
        assert failures(verify.verify([target], ROOT))[-1] == "no-token"


def test_an_expired_token_that_is_taken_is_found() -> None:
    report = run(FakeSlurmrestd(STYLES["24.11"], faults={"ignores-expiry"}), key=KEY)
    assert failures(report) == ["expired-token"]
    assert check(report, "expired-token").detail == "expired: answered with 200 instead of being refused"
    assert "clock" in check(report, "expired-token").cause


def test_a_token_without_a_user_that_is_taken_is_found() -> None:
    report = run(FakeSlurmrestd(STYLES["24.11"], faults={"takes-userless"}), key=KEY)
    assert failures(report) == ["userless-token"]
    assert check(report, "userless-token").detail == "no user claim: answered with 200 instead of being refused"


def test_a_token_with_alg_none_that_is_taken_is_found() -> None:
    report = run(FakeSlurmrestd(STYLES["24.11"], faults={"takes-alg-none"}), key=KEY)
    assert failures(report) == ["alg-none"]
    assert check(report, "alg-none").cause.startswith("what answers does not check tokens")


@every_release
def test_the_spoilt_tokens_are_what_they_claim_to_be(release: str) -> None:
    daemon = FakeSlurmrestd(STYLES[release])
    report = run(daemon, key=KEY)
    sent = [bearer.Token(headers[TOKEN]) for *_request, headers in daemon.requests if headers.get(TOKEN, "-") != "-"]
    found = [jwt.inspect(item) for item in sent if jwt.looks_like_jwt(item)]
    with pytest.raises(bearer.TokenError, match="expired 36"):
        jwt.verify(
            next(item for item in sent if jwt.looks_like_jwt(item) and (jwt.inspect(item).expires or 0) < time.time()),
            KEY,
        )
    userless = next(item for item in found if not item.user)
    assert (userless.expires or 0) > time.time()
    assert next(item for item in found if item.algorithm == "none").user == "root"
    status = STYLES[release].bad_token[0]
    assert check(report, "expired-token").detail == f"expired: {status}"
    assert check(report, "userless-token").detail == f"no user claim: {status}"
    assert check(report, "alg-none").detail == f"alg none: {status}"
    assert check(report, "other-user").detail == f"alice's token for root: {status}"


@pytest.mark.parametrize("check_id", ["expired-token", "userless-token"])
def test_nothing_is_proven_without_the_key_that_counts(check_id: str) -> None:
    without = check(run(FakeSlurmrestd(STYLES["24.11"])), check_id)
    assert (without.ok, without.detail) == (None, "no key to sign with")
    assert "--key-file" in without.remedy
    daemon = FakeSlurmrestd(STYLES["24.11"], faults={"ignores-expiry", "takes-userless"})
    other = check(run(daemon, key=jwt.Key(b"k" * 32)), check_id)
    assert other.ok is None
    assert "not the one of the token that slurmctld accepts" in other.detail
    assert other.exchanges == ()


# --- another user's name ----------------------------------------------------------------------------------------------


def test_an_ordinary_token_that_acts_for_root_is_found() -> None:
    report = run(FakeSlurmrestd(STYLES["24.11"], faults={"any-name"}))
    assert failures(report) == ["other-user"]
    assert check(report, "other-user").detail == "alice's token for root: answered with 200 instead of being refused"
    assert "X-SLURM-USER-NAME" in check(report, "other-user").remedy


def test_an_administrators_token_proves_nothing_about_names() -> None:
    with serving(FakeSlurmrestd(STYLES["24.11"])) as target:
        acting = verify.verify([target], ROOT, job_credentials=Credentials("alice", ROOT.token))
    found = check(acting, "other-user")
    assert (found.ok, found.exchanges) == (None, ())
    assert "--job-token-file" in found.remedy


def test_slurm_user_by_another_name_is_no_impersonation() -> None:
    daemon = FakeSlurmrestd(STYLES["24.11"], slurm_user="slurmadm")
    admin = Credentials("slurmadm", token("slurmadm"))
    for faults in (set[str](), {"dbd-down"}):
        daemon.faults = faults
        with serving(daemon) as target:
            found = check(verify.verify([target], admin), "other-user")
        assert (found.ok, "may be SlurmUser" in found.detail) == (None, True)


def test_an_ordinary_token_that_is_refused_anyway_proves_nothing_about_names() -> None:
    with serving(FakeSlurmrestd(STYLES["24.11"])) as target:
        late = Credentials("alice", token("alice", lifespan=-60))
        found = check(verify.verify([target], ROOT, job_credentials=late), "other-user")
    assert found.ok is None
    assert found.detail.startswith("alice's token is refused for its own user already (511: ")


# --- users, URLs ------------------------------------------------------------------------------------------------------


def test_users_or_associations() -> None:
    nobody: dict[str, list[str]] = {"errors": [], "users": []}
    daemon = FakeSlurmrestd(STYLES["24.11"], instead={"slurmdb/users": (200, nobody)})
    assert check(run(daemon), "users").detail == "1 association: alice"
    daemon.instead["slurmdb/associations"] = (204, "")
    hidden = check(run(daemon), "users")
    assert (hidden.ok, "PrivateData=users" in hidden.detail) == (None, True)
    daemon.instead = {"slurmdb/users": (500, {"errors": [{"error": "broken", "error_number": 7000}]})}
    assert failures(run(daemon)) == ["users"]
    daemon = FakeSlurmrestd(STYLES["24.11"], accounting=False)
    assert check(run(daemon), "users").ok is None
    daemon = FakeSlurmrestd(STYLES["24.11"], faults={"dbd-down"})
    assert "(see slurmdb-diag)" in check(run(daemon), "users").detail


@every_release
def test_unescaped_characters(release: str) -> None:
    daemon = FakeSlurmrestd(STYLES[release])
    status = STYLES[release].bad_url_char
    assert check(run(daemon), "escaping").detail == f"unescaped: {status}; escaped: Slurm answers with 500"
    daemon.faults = {"rewrites"}
    report = run(daemon)
    assert failures(report) == ["escaping"]
    assert check(report, "escaping").detail == f"unescaped: Slurm was asked (500) instead of {status}"


def test_a_url_that_never_reaches_slurm_proves_nothing_about_escaping(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = FakeSlurmrestd(STYLES["24.11"])
    monkeypatch.setattr(daemon, "_slurm", lambda *_arguments: (404, "no such page"))
    daemon.instead = {"diag": (200, {"errors": [], "statistics": {"a": 1}})}
    found = check(run(daemon), "escaping")
    assert (found.ok, found.detail) == (None, "the escaped URL does not reach Slurm either (404)")


def test_something_that_answers_for_every_url() -> None:
    report = run(FakeSlurmrestd(STYLES["24.11"], faults={"answers-anything"}))
    assert failures(report) == ["unknown-url"]
    assert check(report, "unknown-url").detail == "200 instead of 404"


# --- capacity ---------------------------------------------------------------------------------------------------------


def test_latency_counts_the_answer_that_is_there_already() -> None:
    daemon = FakeSlurmrestd(STYLES["24.11"])
    report = run(daemon, samples=10)
    good = [path for _m, path, headers in daemon.requests if path.endswith("/diag") and "/slurm/" in path]
    own = sum(exchange.path.endswith("/slurm/v0.0.42/diag") for exchange in check(report, "latency").exchanges)
    assert len(report.latency) == own == 10
    assert len(good) - own <= 8  # those that must be refused
    found = re.fullmatch(
        r"10 answers of diag in min ([\d.]+), median ([\d.]+), max ([\d.]+) ms", check(report, "latency").detail
    )
    assert found
    assert [float(value) for value in found.groups()] == sorted(float(value) for value in found.groups())


def test_the_99th_percentile_needs_samples() -> None:
    few, many = (checks_capacity.Latency.of([number / 1000 for number in range(count, 0, -1)]) for count in (199, 200))
    assert (few.p99, many.p99) == (None, 0.198)
    assert str(many) == "200 answers of diag in min 1.0, median 100.5, p99 198.0, max 200.0 ms"
    assert len(run(FakeSlurmrestd(STYLES["24.11"]), samples=200).latency) == 200


def test_an_answer_that_fails_among_many_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = FakeSlurmrestd(STYLES["24.11"])
    asked = [0]
    healthy = daemon._slurm

    def flaky(method: str, api: str, endpoint: str, *rest: Any) -> Any:
        asked[0] += endpoint == "diag"
        return (503, "no") if asked[0] == 7 else healthy(method, api, endpoint, *rest)

    monkeypatch.setattr(daemon, "_slurm", flaky)
    report = run(daemon)
    assert failures(report) == ["latency"]
    assert check(report, "latency").detail == "503: no"


@pytest.mark.parametrize(("samples", "idle"), [(0, 0), (10_001, 0), (10, -1), (10, 1001)])
def test_bounds_of_the_capacity_checks(samples: int, idle: int) -> None:
    with pytest.raises(InputError, match=r"samples|idle clients"):
        Options(samples=samples, idle_clients=idle)


def test_idle_clients_leave_room_or_not() -> None:
    roomy = run(FakeSlurmrestd(STYLES["24.11"], max_connections=9), idle_clients=8)
    assert failures(roomy) == []
    assert check(roomy, "idle-clients").detail.endswith("beside 8 idle ones")
    full = run(FakeSlurmrestd(STYLES["24.11"], max_connections=4), idle_clients=8, timeout=0.5)
    assert failures(full) == ["idle-clients"]
    assert check(full, "idle-clients").detail.startswith("the client after 4 idle ones was not served: no answer from")
    exactly = run(FakeSlurmrestd(STYLES["24.11"], max_connections=4), idle_clients=4, timeout=0.5)
    assert failures(exactly) == ["idle-clients"]
    assert "serves about 4 connections" in check(exactly, "idle-clients").cause


def test_a_daemon_that_closes_connections_has_no_idle_clients() -> None:
    report = run(FakeSlurmrestd(STYLES["24.11"], faults={"closes"}), idle_clients=3)
    assert (
        check(report, "idle-clients").detail == "slurmrestd closes connections after an answer; none of 3 stayed idle"
    )


# --- job --------------------------------------------------------------------------------------------------------------


def job(
    daemon: FakeSlurmrestd, directory: Path, user: Credentials = ALICE, timeout: float = 5.0
) -> tuple[Result, Result]:
    with serving(daemon) as target:
        options = Options(job=JobOptions(timeout, str(directory)))
        report = verify.verify([target], ROOT, options, job_credentials=user)
    return check(report, "job"), check(report, "job-output")


@every_release
def test_a_job_is_submitted_as_the_user_and_cleaned_up(release: str, tmp_path: Path) -> None:
    daemon = FakeSlurmrestd(STYLES[release], faults={"note"} if release != "22.05" else set())
    done, output = job(daemon, tmp_path)
    assert (done.ok, output.ok) == (True, True)
    assert daemon.jobs[42]["user"] == "alice"
    assert daemon.cancelled == [43]
    assert [exchange.status for exchange in done.exchanges] == [200, 200, 200, 200]


def test_a_pending_reason_in_a_submit_answer_of_an_old_release_is_no_refusal(tmp_path: Path) -> None:
    assert job(FakeSlurmrestd(STYLES["22.05"], faults={"note"}), tmp_path)[0].ok is True


def test_an_administrators_token_acts_for_the_user(tmp_path: Path) -> None:
    daemon = FakeSlurmrestd(STYLES["24.11"])
    done, _output = job(daemon, tmp_path, Credentials("alice", ROOT.token))
    assert done.ok is True
    assert daemon.jobs[42]["user"] == "alice"


@pytest.mark.parametrize("user", NOT_ORDINARY)
def test_no_job_as_an_extraordinary_user(user: str, tmp_path: Path) -> None:
    daemon = FakeSlurmrestd(STYLES["24.11"])
    done, output = job(daemon, tmp_path, Credentials(user, ROOT.token))
    assert (done.ok, done.detail) == (None, f"{user} is not an ordinary user")
    assert (output.ok, output.detail) == (None, "no job has run")
    assert daemon.jobs == {}


def test_no_job_unasked() -> None:
    report = run(FakeSlurmrestd(STYLES["24.11"]))
    assert check(report, "job").detail == "not asked for (--job)"


def test_a_refused_submission(tmp_path: Path) -> None:
    body = {"errors": [{"error": "Invalid account", "error_number": 2045}]}
    done, output = job(FakeSlurmrestd(STYLES["24.11"], instead={"job/submit": (500, body)}), tmp_path)
    assert (done.ok, done.detail) == (False, "500: Invalid account (2045)")
    assert done.cause == "slurmctld does not take the job"
    assert "--job-account" in done.remedy
    assert output.ok is None


@every_release
def test_a_job_that_fails(release: str, tmp_path: Path) -> None:
    daemon = FakeSlurmrestd(STYLES[release], job_states=["RUNNING", "FAILED"], job_reason="NonZeroExitCode")
    done, output = job(daemon, tmp_path)
    assert done.ok is False
    assert "job 42 of alice: FAILED, exit code" in done.detail
    assert done.detail.endswith("NonZeroExitCode")
    assert output.ok is None
    assert daemon.cancelled == []


@pytest.mark.parametrize(
    ("state", "node", "ok", "words"),
    [
        ("PENDING Priority", "IDLE", None, "PENDING, Priority after 0.4 s; cancelled. The queue is too busy to tell"),
        ("PENDING Resources", "MIXED", None, "The queue is too busy to tell"),
        ("PENDING Resources", "", None, "The queue is too busy to tell"),
        ("PENDING Resources", "IDLE DRAIN", False, "PENDING, Resources after 0.4 s; cancelled"),
        ("PENDING ReqNodeNotAvail", "MIXED", False, "PENDING, ReqNodeNotAvail after 0.4 s; cancelled"),
        ("PENDING BeginTime", "MIXED", None, "Slow on purpose: its begin time has not come"),
        ("PENDING Prolog", "IDLE", None, "Slow on purpose: a prolog still runs"),
        ("CONFIGURING None", "ALLOCATED", None, "Slow on purpose: its nodes are being made ready"),
        ("PENDING Resources", "IDLE CLOUD POWERING_UP", None, "Slow on purpose: nodes are powered up (node1)"),
        ("PENDING PartitionDown", "IDLE CLOUD POWERING_UP", False, "PENDING, PartitionDown after 0.4 s; cancelled"),
        ("RUNNING None", "MIXED", False, "RUNNING after 0.4 s; cancelled"),
    ],
)
def test_a_job_that_does_not_end_is_cancelled(
    state: str, node: str, ok: bool | None, words: str, tmp_path: Path
) -> None:
    nodes = {"errors": [], "nodes": [{"name": "node1", "state": node.split()}] if node else []}
    job_state, reason = state.split()
    daemon = FakeSlurmrestd(STYLES["24.11"], instead={"nodes": (200, nodes)}, job_states=[job_state], job_reason=reason)
    begin = time.monotonic()
    done, output = job(daemon, tmp_path, timeout=0.4)
    assert time.monotonic() - begin >= 0.4
    assert (done.ok, words in done.detail) == (ok, True)
    assert 0.4 <= done.seconds < 30
    assert output.ok is None
    assert daemon.cancelled[0] == 42
    if node == "IDLE DRAIN":
        assert done.cause == "no node takes the job (node1 IDLE DRAIN)"
    assert [exchange.path.rpartition("/")[2] for exchange in done.exchanges].count("nodes") == 0


def test_polling_backs_off_and_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = [100.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", sleep)
    polls = sum(1 for _pause in checks_jobs._pauses(160.0))
    assert slept[0] == 0.05
    assert max(slept) == 1.0
    assert sum(slept) == pytest.approx(60.0)
    assert polls == len(slept) + 1 < 75


def cancel(daemon: FakeSlurmrestd, directory: Path) -> Result:
    with serving(daemon) as target:
        options = Options(job=JobOptions(1.0, str(directory)))
        return check(verify.verify([target], ROOT, options, job_credentials=ALICE), "job-cancel")


@every_release
def test_a_job_is_cancelled(release: str, tmp_path: Path) -> None:
    daemon = FakeSlurmrestd(STYLES[release])
    found = cancel(daemon, tmp_path)
    assert found.ok is True
    assert found.detail.startswith("job 43: 200 to DELETE, CANCELLED after 0.")
    assert daemon.jobs[43]["user"] == "alice"
    assert [exchange.method for exchange in found.exchanges] == ["POST", "DELETE", "GET"]


def test_a_job_that_cannot_be_cancelled(tmp_path: Path) -> None:
    refused = cancel(FakeSlurmrestd(STYLES["24.11"], faults={"cancel-refused"}), tmp_path)
    assert (refused.ok, refused.detail) == (False, "job 43 could not be cancelled: 500: Unspecified error")
    goes_on = cancel(FakeSlurmrestd(STYLES["24.11"], faults={"cancel-ignored"}), tmp_path)
    assert (goes_on.ok, goes_on.detail) == (False, "job 43 is RUNNING though DELETE was answered with 200")
    failing = cancel(FakeSlurmrestd(STYLES["24.11"], job_states=["FAILED"]), tmp_path)
    assert (failing.ok, failing.detail) == (None, "would prove nothing while a job fails (see job)")


def test_a_job_that_ran_as_someone_else(tmp_path: Path) -> None:
    done, _output = job(FakeSlurmrestd(STYLES["24.11"], job_user="nobody"), tmp_path)
    assert (done.ok, done.detail) == (False, "job 42 ran as nobody instead of alice")


def test_a_job_that_is_held_for_nobody_is_told_at_once(tmp_path: Path) -> None:
    """A slurmctld that does not know the user takes the job for its own nobody, and never starts it."""
    daemon = FakeSlurmrestd(STYLES["24.11"], job_user="99", job_states=["PENDING"], job_reason="JobHeldUser")
    begin = time.monotonic()
    done, _output = job(daemon, tmp_path)
    assert time.monotonic() - begin < 30
    assert (done.ok, done.cause) == (False, "slurmctld does not know the user alice")
    assert done.detail == "job 42 is nobody's (uid 99) instead of alice's: PENDING, JobHeldUser; cancelled"
    assert "id alice" in done.remedy
    assert "DELETE" in [exchange.method for exchange in done.exchanges]


def test_a_poll_that_fails_cancels_the_job(tmp_path: Path) -> None:
    daemon = FakeSlurmrestd(
        STYLES["24.11"], instead={"job": (404, {"errors": [{"error": "Invalid job id specified"}]})}
    )
    done, _output = job(daemon, tmp_path)
    assert (done.ok, done.detail) == (False, "404: Invalid job id specified")
    assert done.exchanges[-1].method == "DELETE"


def _link(path: Path) -> None:
    target = path.with_name("elsewhere")
    target.write_text(path.read_text())
    path.unlink()
    path.symlink_to(target)


def _other_name(path: Path) -> None:
    target = path.with_name("elsewhere")
    target.write_text("what only root may read\n")
    path.unlink()
    path.hardlink_to(target)


@pytest.mark.parametrize(
    ("spoil", "ok", "words"),
    [
        (_other_name, None, "cannot be read from here: not a regular file of one name"),
        (lambda path: path.write_text("profile says hello\n"), False, "instead of"),
        (lambda path: path.unlink(), None, "cannot be read from here: No such file or directory"),
        (_link, None, "cannot be read from here"),
    ],
)
def test_output(spoil: Callable[[Path], Any], ok: bool | None, words: str, tmp_path: Path) -> None:
    def spoilt(path: str) -> str:
        spoil(Path(path))
        return checks_jobs.take_output(path)

    with serving(FakeSlurmrestd(STYLES["24.11"])) as target:
        options = Options(job=JobOptions(directory=str(tmp_path)))
        report = verify.verify([target], ROOT, options, job_credentials=ALICE, read_output=spoilt)
    done, output = check(report, "job"), check(report, "job-output")
    assert done.ok is True
    assert (output.ok, words in output.detail) == (ok, True)


@pytest.mark.parametrize(("timeout", "directory"), [(0, "/tmp"), (-1, "/tmp"), (1, "tmp")])
def test_bad_job_options(timeout: float, directory: str) -> None:
    with pytest.raises(InputError, match="job"):
        Options(job=JobOptions(timeout, directory))


def test_only_lists_of_the_cluster_may_be_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """What slurmrestd says becomes many times as large in the process of root that reads it."""
    bounds: dict[str, int] = {}
    ask = client.request

    def counted(*words: Any, **how: Any) -> client.Response:
        bounds[words[2].rpartition("/")[2]] = how["max_body"]
        return ask(*words, **how)

    monkeypatch.setattr(session, "request", counted)
    with serving(FakeSlurmrestd(STYLES["24.11"])) as target:
        assert verify.verify([target], ROOT).ok
    assert {name for name, bound in bounds.items() if bound == client.MAX_LIST} == {"nodes", "partitions", "users"}
    assert {"v3", "diag", "ping"} <= {name for name, bound in bounds.items() if bound == 16 << 20}


# --- whatever comes ---------------------------------------------------------------------------------------------------

ENDPOINTS = ("openapi", "diag", "slurmdb/diag", "slurmdb/clusters", "ping", "nodes", "partitions", "job/submit", "job")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(endpoint=st.sampled_from(ENDPOINTS), status=st.sampled_from((200, 500)), answer=slurmish)
def test_weird_json_never_crashes_the_verifier(endpoint: str, status: int, answer: Any, tmp_path: Path) -> None:
    options = Options(job=JobOptions(0.01, str(tmp_path)))
    with serving(FakeSlurmrestd(STYLES["24.11"], instead={endpoint: (status, answer)})) as target:
        report = verify.verify([target], ROOT, options, job_credentials=ALICE)
    assert [result.id for result in report.checks] == [item.id for item in CHECKS]
    assert all(result.detail.isprintable() for result in report.checks)


@pytest.mark.parametrize("words", ["\x1b]0;owned\x07\x1b[2J", "a\nb\r\n", "\u202e\u0000"])
def test_a_daemons_words_cannot_drive_the_terminal(words: str) -> None:
    body = {"errors": [{"error": words, "error_number": 1}]}
    detail = check(run(FakeSlurmrestd(STYLES["24.11"], instead={"diag": (500, body)})), "slurm-diag").detail
    assert detail.isprintable()


def test_long_words_are_cut() -> None:
    report = run(FakeSlurmrestd(STYLES["24.11"], instead={"diag": (500, "x" * 100_000)}))
    assert len(check(report, "slurm-diag").detail) < 500


def test_a_daemon_that_repeats_the_token_does_not_get_it_printed() -> None:
    secret = ROOT.token.reveal()
    daemon = FakeSlurmrestd(
        STYLES["24.11"], instead={"diag": (500, f"rejected {secret}"), "nodes": (200, {"nodes": [{"name": secret}]})}
    )
    report = run(daemon)
    assert "rejected <token>" in check(report, "slurm-diag").detail
    assert secret not in repr(report)
    assert secret not in str(verify.as_dict(report))


def test_no_target() -> None:
    with pytest.raises(InputError, match="url"):
        verify.verify([], ROOT)
    for timeout in (0, -1, float("nan")):
        with pytest.raises(InputError, match="timeout"):
            Options(timeout=timeout)


def test_a_daemon_that_runs_otherwise_fails_whatever_it_answers() -> None:
    report = Report("http://127.0.0.1:6820", "24.11.5", (), None, (), 0.1, 1)
    assert with_process(report, []) is report
    failed = with_process(report, [{"text": "-a is not given, not rest_auth/jwt (/o.conf:3)"}])
    assert not failed.ok
    assert failed.checks[0].id == "process"
    assert "/o.conf:3" in failed.checks[0].detail
