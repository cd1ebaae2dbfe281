"""REST hosts that fail behind a gateway, runs that are undone, and the way back."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.gateway.test_gateway import FRESH, SITE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.real.gateway.gate import Answer, Gate

SECONDS = 8.0
NEIGHBOUR = "/etc/nginx/conf.d/neighbour.conf"


@contextmanager
def clients(gate: Gate, count: int = 4) -> Iterator[list[Answer]]:
    """Let some clients ask again and again, each of them something that is not kept."""
    answers: list[Answer] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            answers.append(gate.ask(gate.path("diag"), {**gate.who("alice"), **FRESH}))

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        over.set()
        for thread in threads:
            thread.join()


def wait_for(answers: list[Answer], more: int) -> None:
    """Wait until so many more answers have come."""
    wanted, deadline = len(answers) + more, time.monotonic() + 60
    while len(answers) < wanted:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(("fault", "mend"), [("KILL", "systemctl start slurmrestd"), ("STOP", "")])
def test_one_of_two_hosts_lost_costs_no_request(gate: Gate, fault: str, mend: str) -> None:
    if len(gate.hosts) < 2:
        pytest.skip("a cluster that stands has one REST host")
    other = gate.hosts[1]
    stop = "systemctl stop slurmrestd" if fault == "KILL" else "true"
    gate.play(rate=100_000, burst=100_000).good()
    with clients(gate) as answers:
        wait_for(answers, 20)
        gate.live.ssh(other, f"systemctl kill -s {fault} slurmrestd; {stop}")
        begin = time.monotonic()
        while time.monotonic() < begin + SECONDS:
            wait_for(answers, 5)
        gate.live.ssh(other, mend or "systemctl kill -s CONT slurmrestd")
        wait_for(answers, 20)
    failed = [answer for answer in answers if answer.status != 200]
    slowest = max(answer.seconds for answer in answers)
    gate.play().good()
    sys.stdout.write(f"{fault}: {len(answers)} requests, {len(failed)} failed, slowest {slowest:.2f} s\n")
    assert failed == []
    assert slowest <= 6.5


def test_the_last_host_is_asked_though_it_was_slow_once(gate: Gate) -> None:
    """Where one is gone, nobody has an answer for as long as the other one is left out."""
    if len(gate.hosts) < 2:
        pytest.skip("a cluster that stands has one REST host")
    slow, gone = gate.hosts
    count = "grep -c 'upstream timed out' /var/log/nginx/slurmrest-gateway.error.log || true"
    before = gate.live.ssh(gate.node, count).strip()
    gate.live.ssh(gone, "systemctl stop slurmrestd")
    try:
        gate.live.ssh(slow, "systemctl kill -s STOP slurmrestd")
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(gate.ask, gate.path("diag"), {**gate.who("alice"), **FRESH})
            try:
                gate.live.ssh(gate.node, f"until [ $({count}) -gt {before} ]; do sleep 0.1; done")
            finally:
                gate.live.ssh(slow, "systemctl kill -s CONT slurmrestd")
        after = [gate.ask(gate.path("diag"), {**gate.who("alice"), **FRESH}) for _ in range(8)]
        changed = gate.submit(gate.who("alice"), "left")
    finally:
        gate.live.ssh(gone, "systemctl start slurmrestd")
    assert [answer.status for answer in (waiting.result(), *after, changed)] == [200] * 10


def revision(gate: Gate) -> str:
    return gate.ask("/").headers["x-slurmrest-gateway"]


def master(gate: Gate) -> str:
    return gate.live.ssh(gate.node, "systemctl show -P MainPID nginx")


def test_what_nginx_refuses_never_goes_live(gate: Gate) -> None:
    """A host whose name nobody knows is found by nginx alone."""
    before, text = (revision(gate), master(gate)), gate.live.ssh(gate.node, f"sha256sum {SITE}; ls -A /etc/nginx /run")
    refused = gate.play(upstreams=["nowhere.invalid:6820"], plain_acknowledged=True)
    assert refused.status != 0
    assert "nginx refuses the gateway's configuration" in refused.output
    assert "nowhere.invalid" in refused.output
    assert (revision(gate), master(gate)) == before
    assert gate.live.ssh(gate.node, f"sha256sum {SITE}; ls -A /etc/nginx /run") == text


def test_what_gives_no_answer_is_undone(gate: Gate) -> None:
    before, text = (revision(gate), master(gate)), gate.live.ssh(gate.node, f"sha256sum {SITE}")
    failed = gate.play(upstreams=["127.0.0.1:1"])
    assert failed.status != 0
    assert "no slurmrestd behind it gave an answer" in failed.output
    assert "The previous state is back" in failed.output
    assert gate.live.ssh(gate.node, f"sha256sum {SITE}") == text
    assert (revision(gate), master(gate)) == before, "nginx was reloaded, not restarted"
    assert gate.ask(gate.path("diag"), gate.who("alice")).status == 200


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"origins": ["*"]}, "slurmrest_gateway_origins"),
        ({"cache_seconds": 11}, "slurmrest_gateway_cache_seconds"),
        ({"lists_at_once": 4}, "slurmrest_gateway_lists_at_once"),
        ({"name": "other.example.org"}, "slurmrest_gateway_name"),
        ({"certificate_key": "/etc/slurmrest-gateway/authority.pem"}, "slurmrest_gateway_certificate_key"),
        ({"listen": ["0.0.0.0:22"]}, "sshd"),
        ({"upstreams": ["far:6820"], "plain_acknowledged": False}, "slurmrest_gateway_plain_acknowledged"),
        ({"upstreams": ["unix:/run/slurmrestd/slurmrestd.socket"]}, "slurmrestd_service_socket_group: www-data"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_work_is_refused_by_name(gate: Gate, variables: dict[str, Any], said: str) -> None:
    before = revision(gate)
    refused = gate.play(**variables)
    assert refused.status != 0
    assert said in refused.output
    assert refused.changed == 0
    assert revision(gate) == before


def test_other_servers_and_a_killed_nginx(gate: Gate) -> None:
    """A server of the site is served on, and sockets that a killed nginx left are no hindrance."""
    server = "server { listen 127.0.0.1:8081 default_server; return 200 neighbour; }"
    gate.live.ssh(gate.node, f"echo '{server}' >{NEIGHBOUR} && nginx -s reload")
    assert gate.play(rate=49).good().changed == 1
    ask = "until curl -s 127.0.0.1:8081; do sleep 0.1; done"
    assert gate.live.ssh(gate.node, ask) == "neighbour"
    gate.live.ssh(gate.node, "kill -9 $(systemctl show -P MainPID nginx) && pkill -9 -x nginx; systemctl restart nginx")
    assert gate.ask(gate.path("diag"), gate.who("alice")).status == 200
    assert gate.play().good().changed == 1


def test_it_goes_without_a_trace_and_comes_again(gate: Gate) -> None:
    """Twice: where nginx came with the gateway it is stopped, and a neighbour's file stays."""
    uninstall = ("uninstall.yml", "--tags", "slurmrest_gateway")
    announced = gate.live.playbook(*uninstall, "--check").good()
    done = gate.live.playbook(*uninstall).good()
    assert announced.changed == done.changed > 0
    assert gate.live.playbook(*uninstall).good().changed == 0
    left = gate.live.ssh(
        gate.node,
        "ls /run/slurmrest-gateway /etc/nginx/conf.d /etc/systemd/system/nginx.service.d /etc/tmpfiles.d 2>&1;"
        "systemctl is-active nginx; systemctl is-enabled nginx; pgrep -c -x nginx; true",
    )
    assert "slurmrest-gateway.conf" not in left
    assert "neighbour.conf" in left
    assert left.split()[-3:] == ["inactive", "disabled", "0"]
    assert gate.play("--check").good().changed > 0
    assert gate.play().good().changed > 0
    assert gate.play(state="absent").good().changed > 0
    assert gate.play().good().changed > 0
    assert gate.ask(gate.path("diag"), gate.who("alice")).status == 200
