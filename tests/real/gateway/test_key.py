"""The key of a gateway replaced alone: nobody is refused meanwhile or has to log in again; the former is no good."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.auth.bearer import TOKEN_HEADER, USER_HEADER
from slurmrest.auth.jwks import ALGORITHM
from slurmrest.auth.rs256 import PrivateKey
from slurmrest.auth.signing import claims_for, encode
from slurmrest.host.logins import KEY_NAME

from tests.real.gateway.test_logins import KEY, PAM, PASSWORDS, bearer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.real.clusters import Play
    from tests.real.gateway.gate import Gate

SHORT: dict[str, Any] = {**PAM, "token_lifespan": 60}
SET = "/var/lib/slurmrest-jwks/jwks.json"
ONLY = ("--tags", "slurmrest_gateway")


def rotate(gate: Gate, *words: str, **more: Any) -> Play:
    """Run the playbook; the former key is refused at once unless ``key_withdraw_at_once`` says otherwise."""
    variables = {**SHORT, "key_withdraw_at_once": True, **more}
    named = {f"slurmrest_gateway_{name}": value for name, value in variables.items()}
    return gate.live.playbook("rotate_gateway_key.yml", *words, variables=named)


def kids(gate: Gate) -> list[str]:
    """Which keys the controllers take."""
    return [key["kid"] for key in json.loads(gate.live.ssh(gate.controller, f"cat {SET}"))["keys"]]


def held(gate: Gate) -> list[str]:
    """Which keys the gateway has."""
    return gate.live.ssh(gate.node, "ls /var/lib/slurmrest-identity").split()


def accepted(gate: Gate, pem: str) -> bool:
    """Whether slurmrestd answers a token that this key signs."""
    key = PrivateKey.load(pem, KEY_NAME)
    token = encode(claims_for("alice", 60), key, {"alg": ALGORITHM, "kid": key.public.kid}).reveal()
    headers = f"{USER_HEADER}: alice\n{TOKEN_HEADER}: {token}\n"
    url = f"http://127.0.0.1:6820{gate.path('diag')}"
    said = gate.live.ssh(gate.node, f"curl -s -o /dev/null -w '%{{http_code}}' -H @- {url} <<'END'\n{headers}END\n")
    return said.strip() == "200"


@pytest.fixture(scope="module")
def signing(gate: Gate) -> Iterator[Gate]:
    """The gateway with logins, and tokens of a minute."""
    gate.live.ssh(gate.node, "id alice || useradd --uid 2000 alice")
    gate.live.ssh(gate.node, f"echo 'alice:{PASSWORDS['alice']}' | chpasswd")
    gate.deploy(**SHORT).good()
    gate.play(**SHORT).good()
    yield gate
    gate.deploy().good()
    gate.play().good()


def test_check_mode_says_what_would_happen(signing: Gate) -> None:
    before = held(signing), kids(signing)
    done = rotate(signing, "--check", key_withdraw_at_once=False).good()
    assert "after 60 s they would load the set without the former one" in " ".join(done.output.split())
    assert done.changed > 0
    assert (held(signing), kids(signing)) == before


def test_nobody_is_refused_meanwhile_and_the_former_key_is_no_good(signing: Gate) -> None:
    own, (kid,) = bearer(signing, "alice"), kids(signing)
    pem = signing.live.ssh(signing.node, f"cat {KEY}")
    assert accepted(signing, pem)
    statuses, over = list[int](), threading.Event()

    def ask() -> None:
        while not over.is_set():
            statuses.append(signing.ask(signing.path("ping"), own).status)
            time.sleep(0.2)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        begin = time.monotonic()
        done = rotate(signing, key_withdraw_at_once=False)
        seconds = time.monotonic() - begin
    finally:
        over.set()
        asking.join()
    done.good()
    assert seconds > 60
    restarted = {status: statuses.count(status) for status in set(statuses)}
    sys.stdout.write(f"{len(statuses)} requests in {seconds:.0f} s: {restarted}\n")
    assert 401 not in restarted
    assert (held(signing), len(kids(signing)), kid in kids(signing)) == (["key.pem"], 1, False)
    assert not accepted(signing, pem)
    assert accepted(signing, signing.live.ssh(signing.node, f"cat {KEY}"))
    assert signing.ask(signing.path("diag"), own).status == 200, "who was logged in still is"
    assert signing.deploy(**SHORT).good().changed == 0
    assert signing.play(**SHORT).good().changed == 0


def test_another_run_replaces_it_again(signing: Gate) -> None:
    own, before = bearer(signing, "alice"), kids(signing)
    rotate(signing).good()
    assert (held(signing), len(kids(signing))) == (["key.pem"], 1)
    assert kids(signing) != before
    assert signing.ask(signing.path("diag"), own).status == 200


def test_a_controller_that_does_not_take_it_has_all_as_it_was(signing: Gate) -> None:
    """An edit of slurm.conf that nobody has loaded would come into force with the new key."""
    own, before = bearer(signing, "alice"), signing.live.ssh(signing.node, f"sha256sum {KEY}")
    signing.live.ssh(
        signing.controller, "cp -p /etc/slurm/slurm.conf /root/kept; echo KillWait=31 >>/etc/slurm/slurm.conf"
    )
    done = rotate(signing)
    assert done.status != 0
    assert "The key that signed before goes on, and the next one is gone" in " ".join(done.output.split())
    assert "would bring that edit into force" in " ".join(done.output.split())
    signing.live.ssh(signing.controller, "cp -p /root/kept /etc/slurm/slurm.conf")
    assert (held(signing), signing.live.ssh(signing.node, f"sha256sum {KEY}")) == (["key.pem"], before)
    assert signing.ask(signing.path("diag"), own).status == 200
    assert signing.deploy(**SHORT).good().changed == 0
    assert len(kids(signing)) == 1


def test_a_run_that_was_killed_goes_on_with_the_same_key(signing: Gate) -> None:
    own = bearer(signing, "alice")
    named = {f"slurmrest_gateway_{name}": value for name, value in SHORT.items()}
    with signing.live.running("rotate_gateway_key.yml", *ONLY, variables=named) as process:
        deadline = time.monotonic() + 200
        while "key-former.pem" not in held(signing):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.5)
        process.kill()
    before = signing.live.ssh(signing.node, f"sha256sum {KEY}")
    assert len(kids(signing)) == 2
    assert signing.deploy(**SHORT).good().changed == 0, "a deployment takes no key away that still counts"
    rotate(signing, *ONLY).good()
    assert (held(signing), len(kids(signing))) == (["key.pem"], 1)
    assert signing.live.ssh(signing.node, f"sha256sum {KEY}") == before
    assert signing.ask(signing.path("diag"), own).status == 200


def test_what_stands_in_its_way_is_refused_before_anything_changes(signing: Gate) -> None:
    before = held(signing), kids(signing)
    limited = rotate(signing, "--limit", signing.node)
    assert "this run leaves out" in " ".join(limited.output.split())
    nobody = rotate(signing, identity="token")
    assert "no host of the group slurmrest_gateway has a key" in " ".join(nobody.output.split())
    signing.live.ssh(signing.node, "systemctl stop slurmrest-identity.service slurmrest-identity.socket")
    silent = rotate(signing)
    signing.live.ssh(signing.node, "systemctl start slurmrest-identity.socket slurmrest-identity.service")
    assert "The identity service does not say which key it signs with" in " ".join(silent.output.split())
    assert [done.changed for done in (limited, nobody, silent)] == [0, 0, 0]
    assert (held(signing), kids(signing)) == before
