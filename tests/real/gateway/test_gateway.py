"""What a gateway is for, on real daemons: who asks, what is kept, what is limited, what is repaired, what is told."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.auth.bearer import TOKEN_HEADER, USER_HEADER, Token
from slurmrest.auth.jwt import with_forged_signature

from tests.real.clusters import slurmrest

if TYPE_CHECKING:
    from tests.real.gateway.gate import Gate

ORIGIN = "https://portal.example.org"
FRESH = {"Cache-Control": "no-cache"}
SITE = "/etc/nginx/conf.d/zz-slurmrest-gateway.conf"


def test_a_second_run_changes_nothing(gate: Gate) -> None:
    assert gate.play("--check").good().changed == 0
    assert gate.play().good().changed == 0


def test_the_verification_proves_it(gate: Gate) -> None:
    token = str(gate.live.directory / "token.root")
    done = slurmrest("verify", "--gateway", gate.url, "--cacert", gate.ca_file, "--token-file", token)
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gateway-credentials" in done.stdout


def test_it_speaks_tls_under_its_name(gate: Gate) -> None:
    gate.connect("localhost").close()
    with pytest.raises(ssl.SSLCertVerificationError, match="match"):
        gate.connect("other.example.org")
    plain = subprocess.run(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", gate.url.replace("https:", "http:")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert plain.stdout == "400"


def test_http_2_is_spoken(gate: Gate) -> None:
    context = ssl.create_default_context(cafile=gate.ca_file)
    context.set_alpn_protocols(["h2", "http/1.1"])
    plain = gate.connect()
    address = plain.sock.getpeername()
    plain.close()

    with socket.create_connection(address) as raw, context.wrap_socket(raw, server_hostname="localhost") as chosen:
        assert chosen.selected_alpn_protocol() == "h2"


# --- who asks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        [],
        [("X-SLURM-USER-NAME", "bob")],
        [("x-slurm-user-name", "bob")],
        [("X_SLURM_USER_NAME", "bob")],
        [("Connection", "X-SLURM-USER-NAME")],
        [("Connection", "X-SLURM-USER-TOKEN"), ("X-SLURM-USER-NAME", "bob")],
        [("Authorization", "Basic Og==")],
    ],
    ids=lambda more: " ".join(":".join(pair) for pair in more) or "nothing",
)
def test_alice_s_job_is_alice_s_or_none(gate: Gate, more: list[tuple[str, str]]) -> None:
    """Whatever is said before and behind her own name."""
    own = list(gate.who("alice").items())
    for headers in ([*own, *more], [*more, *own]):
        answer = gate.submit(headers, "gateway")
        if answer.status != 200:
            assert answer.status in (400, 401, 403, 500, 511), answer.body
            continue
        job = answer.json()["job_id"]
        assert job == 0 or gate.owner(job) == "alice"
    assert gate.submit(own, "gateway").status == 200


def test_another_name_beside_her_token_is_refused(gate: Gate) -> None:
    answer = gate.submit({**gate.who("alice"), USER_HEADER: "bob"}, "gateway")
    assert answer.status != 200 or answer.json()["job_id"] == 0


def test_bearer_is_taken_on_every_release(gate: Gate) -> None:
    bearer = {USER_HEADER: "alice", "Authorization": f"Bearer {gate.tokens['alice']}"}
    answer = gate.submit(bearer, "gateway")
    assert answer.status == 200, answer.body
    assert gate.owner(answer.json()["job_id"]) == "alice"


def test_within_the_second_nobody_else_has_an_answer(gate: Gate) -> None:
    """Neither without credentials, nor with a forged or somebody else's token, nor with half of them."""
    path, own = gate.path("jobs"), gate.who("alice")
    forged = with_forged_signature(Token(gate.tokens["alice"])).reveal()
    others: list[dict[str, str]] = [
        {},
        {USER_HEADER: "alice"},
        {TOKEN_HEADER: gate.tokens["alice"]},
        {USER_HEADER: "", TOKEN_HEADER: gate.tokens["alice"]},
        {USER_HEADER: "alice", TOKEN_HEADER: forged},
        {USER_HEADER: "alice", TOKEN_HEADER: "x"},
        {USER_HEADER: "alice", TOKEN_HEADER: gate.tokens["bob"]},
        {USER_HEADER: "bob", TOKEN_HEADER: gate.tokens["alice"]},
    ]
    for other in others:
        good = gate.ask(path, own)
        assert good.status == 200
        answer = gate.ask(path, other)
        assert answer.status != 200 or answer.json().get("errors"), (other.keys(), answer.status)
        assert answer.cache != "HIT"
        assert answer.headers.get("cache-control") == "no-store"
    assert [gate.ask(path, headers).status for headers in others[:4]] == [401] * 4
    mine = gate.ask(path, gate.who("bob"))
    assert (mine.status, mine.cache) == (200, "MISS"), "bob has an answer of his own"


# --- what is kept and limited ----------------------------------------------------------------------------------------


def test_fifty_clients_at_once_are_one(gate: Gate) -> None:
    """Of lists, which are limited, too: nobody who only waits for the same answer is refused."""
    gate.live.ssh(gate.node, 'until [ -z "$(find /run/slurmrest-gateway/cache -type f)" ]; do sleep 0.1; done')
    before = gate.rpcs("REQUEST_JOB_INFO")
    answers = gate.crowd(50, lambda _number: gate.ask(gate.path("jobs"), gate.who("alice")))
    asked = gate.rpcs("REQUEST_JOB_INFO") - before
    assert {answer.status for answer in answers} == {200}
    sys.stdout.write(f"50 clients: {asked} RPCs, {max(answer.seconds for answer in answers):.2f} s\n")
    assert 1 <= asked <= 2


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_those_who_give_up_and_ask_again_are_one(gate: Gate, version: str) -> None:
    """While slurmctld gives no answer, which each of them has for a third of a second's patience."""
    gate.live.ssh(gate.node, 'until [ -z "$(find /run/slurmrest-gateway/cache -type f)" ]; do sleep 0.1; done')
    before = gate.rpcs("REQUEST_JOB_INFO")
    words = [version, gate.url + gate.path("jobs")]
    gate.live.ssh(gate.controller, "systemctl kill --signal=STOP slurmctld")
    try:
        with ThreadPoolExecutor(max_workers=5) as pool:
            given_up = list(pool.map(lambda _number: curl(gate, "-m", "0.3", *words)[0], range(25)))
    finally:
        gate.live.ssh(gate.controller, "systemctl kill --signal=CONT slurmctld")
    assert set(given_up) == {0}
    assert curl(gate, *words)[0] == 200, "one that waits has the answer that was made for them"
    asked = gate.rpcs("REQUEST_JOB_INFO") - before
    sys.stdout.write(f"25 that gave up, {version}: {asked} RPCs\n")
    assert 1 <= asked <= 2


def test_what_she_just_wrote_she_sees(gate: Gate) -> None:
    gate.ask(gate.path("jobs"), gate.who("alice"))
    job = gate.submit(gate.who("alice"), "fresh").json()["job_id"]
    answer = gate.ask(gate.path("jobs"), {**gate.who("alice"), **FRESH})
    assert answer.cache == "BYPASS"
    assert job in {entry["job_id"] for entry in answer.json()["jobs"]}


def test_one_user_s_limit_is_not_the_other_s(gate: Gate) -> None:
    gate.play(rate=2, burst=4).good()
    path = gate.path("diag")
    alice = gate.crowd(30, lambda _number: gate.ask(path, {**gate.who("alice"), **FRESH}))
    bob = gate.crowd(3, lambda _number: gate.ask(path, {**gate.who("bob"), **FRESH}))
    spoilt = {USER_HEADER: "bob", TOKEN_HEADER: "a.b.c", **FRESH}
    gate.crowd(20, lambda _number: gate.ask(path, spoilt))
    after = gate.ask(path, {**gate.who("bob"), **FRESH})
    gate.play().good()
    refused = [answer for answer in alice if answer.status == 429]
    assert len(refused) >= 20
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert {answer.status for answer in alice} <= {200, 429}
    assert {answer.status for answer in bob} == {200}
    assert after.status == 200, "whoever sends bob's name without his token does not use up his requests"


# --- what is repaired ------------------------------------------------------------------------------------------------


def curl(gate: Gate, *words: str, text: bytes = b"") -> tuple[int, bytes]:
    header = gate.live.directory / "header.alice"
    done = subprocess.run(
        ["curl", "-s", "-m", "30", "--cacert", gate.ca_file, "-H", f"@{header}", "-w", "\n%{http_code}", *words],
        input=text, capture_output=True, check=False,
    )  # fmt: skip
    body, _, status = done.stdout.rpartition(b"\n")
    return int(status), body


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("more", [["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"], []])
def test_bodies_of_any_framing_arrive(gate: Gate, version: str, more: list[str]) -> None:
    if version == "--http2" and more and "chunked" in more[1]:
        return  # HTTP/2 has no such header
    kept: dict[str, Any] = {}
    original = gate.ask

    def keep(path: str, headers: Any = (), method: str = "GET", body: bytes | None = None) -> Any:
        kept.update(path=path, body=body)
        return original(path, headers, method, body)

    gate.ask = keep  # type: ignore[method-assign]
    try:
        gate.submit(gate.who("alice"), "framing")
    finally:
        gate.ask = original  # type: ignore[method-assign]
    url = gate.url + kept["path"]
    kind = ["-H", "Content-Type: application/json"]
    status, body = curl(gate, version, *more, *kind, "--data-binary", "@-", url, text=kept["body"])
    assert status == 200, body
    assert json.loads(body)["job_id"] > 0


def test_three_megabytes_arrive(gate: Gate) -> None:
    answer = gate.submit(gate.who("alice"), "large", script=": " + "x" * (3 << 20))
    assert answer.status == 200, answer.body[:500]
    assert answer.json()["job_id"] > 0
    assert gate.ask(gate.path("job/submit"), gate.who("alice"), "POST", b"x" * (9 << 20)).status == 413


def test_methods_and_paths(gate: Gate) -> None:
    own = gate.who("alice")
    head = gate.ask(gate.path("diag"), own, "HEAD")
    assert (head.status, head.headers["allow"]) == (405, "GET, POST, DELETE, OPTIONS")
    assert gate.ask("/metrics", own).status == 404
    assert gate.ask("/", own).status == 404
    assert gate.ask("/openapi/v3", own).status == 200
    assert gate.ask(gate.path("diag", "slurmdb"), gate.who("root")).status == 200


def test_an_escaped_slash_stays(gate: Gate) -> None:
    """The daemon is asked for a node of that name, and not for another path."""
    gate.ask(gate.path("node/a%2Fb"), gate.who("alice"))
    seen = "".join(gate.live.ssh(node, "journalctl -u slurmrestd -o cat") for node in gate.hosts)
    assert f"GET {gate.path('node/a%2Fb')}" in seen


# --- pages of browsers -----------------------------------------------------------------------------------------------


def test_pages_of_listed_origins_only(gate: Gate) -> None:
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-slurm-user-token"}
    path = gate.path("diag")
    assert gate.play(origins=[ORIGIN]).good().changed == 1
    own = gate.ask(path, {**preflight, "Origin": ORIGIN}, "OPTIONS")
    foreign = gate.ask(path, {**preflight, "Origin": "https://foreign.example.org"}, "OPTIONS")
    error = gate.ask(path, {"Origin": ORIGIN})
    good = gate.ask(path, {**gate.who("alice"), "Origin": ORIGIN})
    gate.play().good()
    allow = "access-control-allow-origin"
    assert (own.status, own.headers[allow], own.headers["vary"]) == (204, ORIGIN, "Origin")
    assert "POST" in own.headers["access-control-allow-methods"]
    assert "X-SLURM-USER-TOKEN" in own.headers["access-control-allow-headers"]
    assert foreign.status == 204
    assert not [name for name in foreign.headers if name.startswith("access-control")]
    assert (error.status, error.headers[allow]) == (401, ORIGIN)
    assert (good.status, good.headers[allow]) == (200, ORIGIN)
    assert allow not in gate.ask(path, {"Origin": ORIGIN}).headers, "and none where none is listed"


# --- what is told ----------------------------------------------------------------------------------------------------


def test_neither_log_nor_journal_holds_a_token(gate: Gate) -> None:
    gate.ask(gate.path("diag"), gate.who("alice"))
    logs = gate.live.ssh(gate.node, "cat /var/log/nginx/*")
    journals = "".join(gate.live.ssh(node, "journalctl -o cat") for node in {*gate.hosts, gate.controller})
    for token in gate.tokens.values():
        signature = token.rpartition(".")[2]
        assert signature not in logs
        assert signature not in journals
    last = json.loads(logs[: logs.rindex('"path"')].splitlines()[-1] + logs[logs.rindex('"path"') :].splitlines()[0])
    assert last["user"] == "alice"
    assert {"status", "cache", "upstream_seconds", "host", "client"} <= last.keys()
    modes = gate.live.ssh(
        gate.node, "stat -c '%a %U %G' /var/log/nginx/slurmrest-gateway.*.log /run/slurmrest-gateway/cache"
    )
    assert modes.split("\n")[:3] == ["640 www-data adm", "640 www-data adm", "700 www-data www-data"]
    assert "tmpfs" in gate.live.ssh(gate.node, "stat -f -c %T /run/slurmrest-gateway/cache")
    assert "/var/log/nginx/*.log" in gate.live.ssh(gate.node, "cat /etc/logrotate.d/nginx")
    gate.live.ssh(gate.node, "cd /var/log/nginx && mv slurmrest-gateway.access.log kept && nginx -s reopen")
    gate.ask(gate.path("diag"), gate.who("alice"))
    assert gate.live.ssh(
        gate.node, "until [ -s /var/log/nginx/slurmrest-gateway.access.log ]; do sleep 0.1; done; echo ok"
    )
