"""What a gateway's administrator sees: requests counted by status, cache and host, over a rotated log, and no users."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.real.gateway.gate import Gate

ADDRESS = "127.0.0.1:9820"
LOG = "/var/log/nginx/slurmrest-gateway.access.log"
LEFT = (
    "ls -d /etc/systemd/system/slurmrest-counters.service /usr/local/lib/slurmrest/counters.pyz 2>/dev/null; "
    "getent passwd slurmrest-counters; true"
)


@pytest.fixture(scope="module")
def watched(gate: Gate) -> Iterator[Gate]:
    assert gate.play("--check", status=ADDRESS).good().changed > 0
    assert gate.play(status=ADDRESS).good().changed > 0
    assert gate.play(status=ADDRESS).good().changed == 0
    yield gate
    assert gate.play().good().changed > 0
    assert gate.play().good().changed == 0
    assert gate.live.ssh(gate.node, LEFT) == ""


def counted(gate: Gate, name: str, **labels: str) -> float:
    """Return the sum of a metric over all that have these labels."""
    shown = gate.live.ssh(gate.node, f"curl -sf http://{ADDRESS}/metrics")
    found = re.findall(rf"(?m)^slurmrest_gateway_{name}\{{(.*)\}} (\S+)$", shown)
    return sum(float(value) for text, value in found if {f'{k}="{v}"' for k, v in labels.items()} <= {*text.split(",")})


def test_each_request_is_counted_once_over_a_rotation(watched: Gate) -> None:
    before = {status: counted(watched, "requests_total", status=status) for status in ("200", "401", "404")}
    tries = counted(watched, "upstream_tries_total")
    fresh = {**watched.who("alice"), "Cache-Control": "no-cache"}
    for number in range(6):
        assert watched.ask(watched.path("diag"), fresh).status == 200
        assert watched.ask(watched.path("diag")).status == 401
        if number == 2:
            watched.live.ssh(watched.node, f"mv {LOG} {LOG}.1 && kill -USR1 $(systemctl show -P MainPID nginx)")
    assert watched.ask("/nothing").status == 404
    watched.live.ssh(watched.node, f"until [ -s {LOG} ]; do sleep 0.1; done")
    assert counted(watched, "requests_total", status="200") == before["200"] + 6
    assert counted(watched, "requests_total", status="401", user="none") == before["401"] + 6
    assert counted(watched, "requests_total", status="404", **{"for": "other"}) == before["404"] + 1
    assert counted(watched, "upstream_tries_total") >= tries + 6
    assert counted(watched, "request_seconds_count", **{"for": "answers"}) >= 12


def test_what_is_kept_is_told_apart(watched: Gate) -> None:
    before = counted(watched, "requests_total", cache="HIT")
    for _ in range(5):
        watched.ask(watched.path("jobs"), watched.who("alice"))
    assert counted(watched, "requests_total", cache="HIT") > before


def test_neither_users_nor_paths_are_shown_and_nobody_else_is_answered(watched: Gate) -> None:
    shown = watched.live.ssh(watched.node, f"curl -sf http://{ADDRESS}/; curl -sf http://{ADDRESS}/metrics")
    sys.stdout.write(watched.live.ssh(watched.node, f"curl -sf http://{ADDRESS}/"))
    assert "alice" not in shown
    assert "/slurm/" not in shown
    assert watched.tokens["alice"] not in shown
    listening = watched.live.ssh(watched.node, "ss -ltnH 'sport = :9820'")
    assert [line.split()[3] for line in listening.splitlines()] == [ADDRESS]


def test_an_address_that_others_reach_is_refused(watched: Gate) -> None:
    refused = watched.play(status="0.0.0.0:9820")
    assert refused.status != 0
    assert "slurmrest_gateway_status" in refused.output
    assert refused.changed == 0
