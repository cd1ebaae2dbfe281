"""What is counted of a gateway's log, and that no line is lost or counted twice where it is rotated."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.gateway import counters
from slurmrest.gateway.counters import Counters, Follower, StatusServer, kind_of, login_of, metrics, page

if TYPE_CHECKING:
    from pathlib import Path

LINE: dict[str, Any] = {
    "time": "2026-11-30T11:03:28+00:00",
    "client": "192.0.2.7",
    "user": "alice",
    "method": "GET",
    "path": "/slurm/v0.0.42/jobs",
    "status": 200,
    "bytes": 1000,
    "seconds": 0.5,
    "upstream_seconds": "0.400",
    "cache": "MISS",
    "host": "127.0.0.1:6820",
    "way": "slurmrest_lists",
    "protocol": "HTTP/2.0",
}


def written(**changed: Any) -> bytes:
    return json.dumps({**LINE, **changed}).encode()


def counted(*lines: bytes) -> Counters:
    found = Counters(1000.0)
    for line in lines:
        found.add(line)
    return found


@pytest.mark.parametrize(
    ("path", "way", "expected"),
    [
        ("/slurm/v0.0.42/jobs", "slurmrest_lists", ("lists", "")),
        ("/slurmdb/v0.0.42/config", "slurmrest_answers", ("answers", "")),
        ("/openapi", "slurmrest_answers", ("answers", "")),
        ("/openapi.json", "slurmrest_answers", ("answers", "")),
        ("/cluster/alpha-2/slurm/v0.0.42/jobs", "slurmrest_lists.alpha-2", ("lists", "alpha-2")),
        ("/slurm/v0.0.42/job/submit", "slurmrest_changes", ("changes", "")),
        ("/auth/session", "slurmrest_answers", ("logins", "")),
        ("/index.html", "slurmrest_answers", ("other", "")),
        ("/slurmish", "slurmrest_answers", ("other", "")),
        ("/slurm/v0.0.42/jobs", "", ("other", "")),
    ],
)
def test_what_a_request_was_for(path: str, way: str, expected: tuple[str, str]) -> None:
    assert kind_of(path, way) == expected


@pytest.mark.parametrize(
    ("status", "result"), [(200, "good"), (302, "good"), (401, "refused"), (429, "limited"), (503, "failed")]
)
def test_what_became_of_a_login(status: int, result: str) -> None:
    assert login_of(status) == result
    found = counted(written(path="/auth/login", status=status, host="", user=""))
    assert found.total("logins_total", result=result) == found.total("logins_total") == 1
    assert counted(written(path="/auth/login", status=204)).total("logins_total") == 0, "a browser asks first"
    assert counted(written(path="/auth/session", status=status)).total("logins_total") == 0


def test_prometheus_has_status_cache_user_and_times() -> None:
    text = metrics(
        counted(
            written(),
            written(cache="HIT", seconds=0.001),
            written(status=401, user="", cache="", host="", upstream_seconds=""),
            written(host="10.0.0.2:6820, 127.0.0.1:6820", upstream_seconds="5.000, 0.250"),
            b"{",
            written(status="none"),
        )
    )
    lines = text.splitlines()
    labels = 'cluster="",for="lists"'
    assert f'slurmrest_gateway_requests_total{{cache="MISS",{labels},status="200",user="known"}} 2' in lines
    assert f'slurmrest_gateway_requests_total{{cache="HIT",{labels},status="200",user="known"}} 1' in lines
    assert f'slurmrest_gateway_requests_total{{cache="none",{labels},status="401",user="none"}} 1' in lines
    assert f'slurmrest_gateway_request_seconds_bucket{{{labels},le="0.01"}} 1' in lines
    assert f'slurmrest_gateway_request_seconds_bucket{{{labels},le="1"}} 4' in lines
    assert f'slurmrest_gateway_request_seconds_bucket{{{labels},le="+Inf"}} 4' in lines
    assert f"slurmrest_gateway_request_seconds_count{{{labels}}} 4" in lines
    assert f"slurmrest_gateway_request_seconds_sum{{{labels}}} 1.501" in lines
    assert 'slurmrest_gateway_upstream_tries_total{host="127.0.0.1:6820"} 2' in lines, "what is kept was not asked for"
    assert 'slurmrest_gateway_upstream_tries_total{host="10.0.0.2:6820"} 1' in lines
    assert 'slurmrest_gateway_upstream_seconds_sum{host="127.0.0.1:6820"} 5.65' in lines
    assert "slurmrest_gateway_unread_lines_total 2" in lines
    assert "# TYPE slurmrest_gateway_request_seconds histogram" in lines
    assert text.endswith("slurmrest_gateway_start_time_seconds 1000.000\n")
    assert "alice" not in text
    assert "/slurm/" not in text


def test_a_line_that_cannot_be_read_counts_once_and_as_nothing_else() -> None:
    found = counted(written(host="127.0.0.1:6820", upstream_seconds="-"))
    assert dict(found.sums) == {("unread_lines_total", ()): 1}


@pytest.mark.parametrize(
    "line", [b"[" * 100_000, json.dumps({**LINE, "bytes": "B"}).encode().replace(b'"B"', b"1e999")]
)
def test_what_nginx_account_writes_into_the_log_ends_nothing(line: bytes) -> None:
    assert dict(counted(line).sums) == {("unread_lines_total", ()): 1}


def test_labels_are_escaped() -> None:
    assert 'host="a\\"b\\\\"' in metrics(counted(written(host='a"b\\')))


def test_the_page_says_how_much_was_kept_and_refused() -> None:
    shown = page(
        counted(
            written(),
            written(cache="HIT"),
            written(cache="UPDATING"),
            written(status=429),
            written(status=502),
            written(path="/cluster/alpha/slurm/v0.0.42/job/7", way="slurmrest_answers.alpha"),
            written(path="/auth/login", status=401),
        ),
        1060.0,
    )
    words = [line.split() for line in shown.splitlines()]
    assert ["lists", "5", "2", "1", "1", "0.500"] in words
    assert ["answers", "(alpha)", "1", "0", "0", "0", "0.500"] in words
    assert "logins: 0 good, 1 refused, 0 limited, 0 failed" in shown
    assert "(60 s)" in shown
    assert "alice" not in shown


# --- the log ---------------------------------------------------------------------------------------------------------


def test_a_log_is_followed_from_its_end_over_rotations(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(b"old\n")
    follower = Follower(str(log))
    assert list(follower.lines()) == []
    with log.open("ab") as writer:
        writer.write(b"one\ntw")
        writer.flush()
        assert list(follower.lines()) == [b"one"]
        log.rename(tmp_path / "access.log.1")
        writer.write(b"o\nthree\n")
        writer.flush()
        assert list(follower.lines()) == [b"two", b"three"], "nginx writes there until it opens the new one"
        log.write_bytes(b"four\n")
        writer.write(b"late\n")
        writer.flush()
        assert list(follower.lines()) == [b"late", b"four"]
    log.write_bytes(b"5\n")
    assert list(follower.lines()) == [b"5"], "it was emptied in its place"
    follower.close()


def test_a_log_may_come_later(tmp_path: Path) -> None:
    follower = Follower(str(tmp_path / "access.log"))
    assert list(follower.lines()) == []
    (tmp_path / "access.log").write_bytes(b"one\n")
    assert list(follower.lines()) == [b"one"]
    follower.close()


def test_large_logs_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "PIECE", 5)
    follower = Follower(str(tmp_path / "access.log"))
    (tmp_path / "access.log").write_bytes(b"first line\nsecond line\n")
    assert list(follower.lines()) == [b"first line", b"second line"]
    follower.close()


# --- over HTTP -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_page_is_up_to_date_when_it_is_asked_for(tmp_path: Path, address: str) -> None:
    log = tmp_path / "access.log"
    log.touch()
    with StatusServer((address, 0), str(log)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 60})
        thread.start()
        found = {}
        log.write_bytes(written() + b"\n")
        for path in ("/", "/metrics", "/other"):
            link = http.client.HTTPConnection(address, server.server_address[1], timeout=10)
            link.request("GET", path)
            answer = link.getresponse()
            found[path] = (answer.status, answer.getheader("Content-Type"), answer.read().decode())
            link.close()
        server.shutdown()
        thread.join()
        server.follower.close()
    assert found["/"][0] == 200
    assert "lists" in found["/"][2]
    assert found["/metrics"][:2] == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert 'status="200"' in found["/metrics"][2]
    assert found["/other"][0] == 404


def test_who_asks_and_says_no_more_keeps_nobody_waiting(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.touch()
    with StatusServer(("127.0.0.1", 0), str(log)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        with socket.create_connection(("127.0.0.1", server.server_address[1])):
            link = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=3)
            link.request("GET", "/")
            try:
                assert link.getresponse().status == 200
            finally:
                link.close()
                server.shutdown()
        thread.join()
        server.follower.close()


def test_an_address_that_somebody_else_has_ends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "access.log"
    log.touch()
    with StatusServer(("127.0.0.1", 0), str(log)) as server:
        address = f"127.0.0.1:{server.server_address[1]}"
        assert counters.main([str(log), address]) == 1
        server.follower.close()
    assert address in capsys.readouterr().err
