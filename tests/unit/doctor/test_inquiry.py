"""Asking a slurmrestd for a doctor: never more than reads, and a client's request is repeated where it is a GET."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.auth import bearer, jwt
from slurmrest.doctor import inquiry
from slurmrest.doctor.request import told_of
from slurmrest.rest import client
from slurmrest.rest.client import Response
from slurmrest.rest.tls import Tls

from tests.unit.fake_slurmrestd import KEY, STYLES, FakeSlurmrestd, serving, token

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT: dict[str, Any] = {
    "paths": {
        "/slurm/v0.0.42/diag/": {"get": {}},
        "/slurm/v0.0.42/jobs/": {"get": {}, "delete": {}},
        "/slurm/v0.0.42/job/{job_id}": {"get": {}, "post": {}, "delete": {}},
        "/slurm/v0.0.42/job/submit": {"post": {}},
        "/slurmdb/v0.0.42/diag/": {"get": {}},
        "/slurmdb/v0.0.42/accounts/": {"get": {}},
    }
}


@pytest.mark.parametrize(
    ("path", "methods", "twin"),
    [
        ("/slurm/v0.0.42/diag", ["GET"], "/slurmdb/v0.0.42/diag"),
        ("/slurm/v0.0.42/jobs/?update_time=1", ["DELETE", "GET"], None),
        ("/slurm/v0.0.42/job/17", ["DELETE", "GET", "POST"], None),
        ("/slurm/v0.0.42/job/submit", ["POST"], None),
        ("/slurm/v0.0.42/accounts", [], "/slurmdb/v0.0.42/accounts"),
        ("/slurmdb/v0.0.42/jobs", [], "/slurm/v0.0.42/jobs"),
        ("/openapi", [], None),
    ],
)
def test_a_url_is_looked_up_in_the_document(path: str, methods: list[str], twin: str | None) -> None:
    assert inquiry._methods(DOCUMENT, path) == methods
    assert inquiry._twin(DOCUMENT, path) == twin


def test_a_document_cannot_have_the_look_go_on_for_ever() -> None:
    """What slurmrestd calls its paths becomes no expression: this one would try some ten million ways."""
    paths: dict[str, Any] = {
        "/slurm/" + "{a}" * 14 + "c": {"get": {}},
        "/slurm/{": {"get": {}},
        "/slurm/{x}": {"post": {}},
    }
    begin = time.process_time()
    assert inquiry._methods({"paths": paths}, "/slurm/" + "b" * 28) == ["POST"]
    assert time.process_time() - begin < 0.1


@pytest.mark.parametrize(
    ("path", "bad"),
    [
        ("/slurm/v0.0.42/node/n1", []),
        ("/slurm/v0.0.42/node/{n1}", ["{", "}"]),
        ("/slurm/v0.0.42/reservation/a%2Fb", []),
        ("/slurm/v0.0.42/reservation/a%ZZ", ["%"]),
        ("/slurm/v0.0.42/job/ä", ["ä"]),
        ("/slurm/v0.0.42/node/n[1,2]", [",", "[", "]"]),
        ("/slurm/v0.0.42/node/n!$&'()*+:;=@", sorted("!$&'()*+:;=@")),
        ("/slurm/v0.0.42/node/n-1.a_b~c", []),
        ("/slurm/v0.0.42/jobs?update_time=2026-11-01T00:00:00", [":"]),
        ("/slurm/v0.0.42/jobs?update_time=2026-11-01T00%3A00%3A00&flags=ALL&x=a+b;c", []),
        ("/slurm/v0.0.42/jobs?flags=ALL,DETAIL&users=a/b?=c", [",", "/", "=", "?"]),
    ],
)
def test_characters_that_must_be_escaped(path: str, bad: list[str]) -> None:
    assert told_of(path, None)["bad_characters"] == bad


def ask(daemon: FakeSlurmrestd, given: bearer.Token | None, **more: Any) -> dict[str, Any]:
    if "client" in more:
        more["client"] = {**more["client"], "told": told_of(more["client"]["path"], more.get("client_token"))}
    with serving(daemon) as target:
        return inquiry.inquire([target.url], given, accounting=True, **more)


@pytest.fixture(params=sorted(STYLES))
def daemon(request: pytest.FixtureRequest) -> FakeSlurmrestd:
    return FakeSlurmrestd(STYLES[request.param])


def test_a_healthy_daemon(daemon: FakeSlurmrestd) -> None:
    found = ask(daemon, token("root"))
    assert [entry["status"] for entry in found["listeners"]] == [401]
    assert found["served"]["slurm"]
    assert found["diag"]["good"]
    assert found["clusters"]["good"]
    assert "document" not in found


def test_without_a_token_only_listeners_are_asked(daemon: FakeSlurmrestd) -> None:
    found = ask(daemon, None)
    assert [entry["status"] for entry in found["listeners"]] == [401]
    assert found["diag"] is None
    assert found["clusters"] is None


def test_nobody_listens(tmp_path: Path) -> None:
    found = inquiry.inquire([f"unix:{tmp_path}/none"], token("root"), accounting=False)
    assert [(entry["status"], entry["kind"]) for entry in found["listeners"]] == [(None, "no-socket")]
    assert found["url"] is None


def test_a_daemon_that_comes_up_late_is_asked_again(daemon: FakeSlurmrestd) -> None:
    daemon.faults.add("ctld-down")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        daemon.faults.clear()

    assert ask(daemon, token("root"), patience=60, pause=pause)["diag"]["good"]
    assert pauses == [inquiry.PAUSE]


def test_a_refusal_by_slurmrestd_itself_is_final(daemon: FakeSlurmrestd) -> None:
    daemon.faults.add("no-jwt")
    found = ask(daemon, token("root"), patience=60, pause=lambda _: pytest.fail("asked again"))
    assert (found["diag"]["status"], found["diag"]["path"]) == (401, inquiry.OPENAPI)


def test_the_token_of_a_client_is_tried_on_a_url_that_works(daemon: FakeSlurmrestd) -> None:
    client = {"method": "delete", "path": "/slurm/v0.0.42/jobs", "user": "alice"}
    found = ask(daemon, token("root"), client=client, client_token=jwt.expired("alice", KEY))
    assert found["client"]["method"] == "DELETE"
    assert found["client"]["token"]["seconds_left"] < 0
    assert found["client"]["answer"]["good"] is False
    assert found["client"]["answer"]["path"].endswith("/diag")
    assert {method for method, _path, _headers in daemon.requests} == {"GET"}


def test_a_get_of_a_client_is_repeated_and_nothing_else_is(daemon: FakeSlurmrestd) -> None:
    path = "/slurm/{}/diag".format(ask(daemon, token("root"))["served"]["slurm"][-1])
    asked = {"client_token": token("alice")}
    found = ask(daemon, token("root"), client={"method": "GET", "path": path, "user": "alice"}, **asked)
    assert found["client"]["repeated"]["path"] == path
    for method, other in (("POST", path), ("GET", "/slurm/nonsense")):
        found = ask(daemon, token("root"), client={"method": method, "path": other, "user": "alice"}, **asked)
        assert "repeated" not in found["client"]


@pytest.mark.parametrize("last", ["reconfigure", "reconfigure/", "job/7/requeue", "requeue?x=1"])
def test_a_get_that_changes_something_is_not_repeated(
    daemon: FakeSlurmrestd, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To explain it slurmctld was reconfigured, or a job begun anew, without anybody's consent."""
    monkeypatch.setattr(inquiry, "_methods", lambda *_: ["GET"])
    asked = {"method": "GET", "path": f"/slurm/v0.0.42/{last}", "user": "alice"}
    found = ask(daemon, token("root"), client=asked, client_token=token("alice"))
    assert "repeated" not in found["client"]
    assert not [path for _method, path, _headers in daemon.requests if last in path]


def test_a_client_s_own_request_for_a_list_alone_may_have_a_long_answer(
    daemon: FakeSlurmrestd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What slurmrestd says becomes many times as large in the process of root that reads it."""
    path = "/slurm/{}/diag?x=1".format(ask(daemon, token("root"))["served"]["slurm"][-1])
    bounds = []

    def counted(*words: Any, **how: Any) -> Response:
        bounds.append((words[2], how.get("max_body", client.MAX_BODY)))
        return client.request(*words, **how)

    monkeypatch.setattr(inquiry, "request", counted)
    asked_for = {"method": "GET", "path": path, "user": "alice"}
    ask(daemon, token("root"), client=asked_for, client_token=token("alice"))
    assert {bound for _asked, bound in bounds} == {16 << 20}, "no list"
    bounds.clear()
    monkeypatch.setattr(inquiry, "_LISTS", ("diag",))
    ask(daemon, token("root"), client=asked_for, client_token=token("alice"))
    assert len(bounds) > 2
    assert {bound for asked, bound in bounds if asked == path} == {client.MAX_LIST}
    assert {bound for asked, bound in bounds if asked != path} == {16 << 20}


def test_nothing_of_a_token_is_in_what_comes_back(daemon: FakeSlurmrestd) -> None:
    mine, theirs = token("root"), token("alice")
    client = {"method": "GET", "path": "/slurm/v0.0.42/diag", "user": "alice"}
    text = json.dumps(ask(daemon, mine, client=client, client_token=theirs))
    for secret in (mine, theirs):
        assert not any(part in text for part in secret.reveal().split("."))


def test_what_is_no_token_is_said_to_be_none(daemon: FakeSlurmrestd) -> None:
    client = {"method": "GET", "path": "/slurm/v0.0.42/diag", "user": "alice"}
    found = ask(daemon, token("root"), client=client, client_token=bearer.Token("not.a-token"))
    assert found["client"]["token"]["jwt"] is False
    assert "not.a-token" not in json.dumps(found)


def test_what_says_a_token_again_is_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever listens there sees the token, and its words are kept as evidence."""
    given = token("root")

    def echo(*_: object) -> Response:
        said = {"errors": [{"description": f"refused: {given.reveal()}"}], "clusters": [{"name": given.reveal()}]}
        return Response(401, {}, json.dumps(said).encode(), 0.0)

    monkeypatch.setattr(inquiry._Way, "request", echo)
    found = inquiry._ask(inquiry._Way(Tls()), "http://127.0.0.1:1", "/x")
    assert (found["words"], found["names"]) == ("refused: (redacted)", ["(redacted)"])


def test_a_page_of_another_program_is_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Response(404, {}, b"<!DOCTYPE HTML>\n<html lang='en'><h1>Error response</h1></html>", 0.0)
    monkeypatch.setattr(inquiry._Way, "request", lambda *_: page)
    found = inquiry._ask(inquiry._Way(Tls()), "http://127.0.0.1:1", "/x")
    assert (found["status"], found["words"]) == (404, "a page in HTML, and slurmrestd has none")
