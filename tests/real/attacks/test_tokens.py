"""Tokens that are none, somebody else's, or nobody's; what ``slurmrest verify`` tries is taken from there."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.auth import bearer, jwt
from slurmrest.rest.client import ClientError
from slurmrest.rest.payloads import job_submission
from slurmrest.slurm.api_versions import api_version

from slurmrest_toolkit.clusters.state import load
from tests.real.attacks.conftest import KEY, NODE, ORDINARY, ROOT, Attacked, refused

if TYPE_CHECKING:
    from collections.abc import Callable

PUBLIC_KEY = (
    b"-----BEGIN PUBLIC KEY-----\n"
    b"MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAK8kVpBJY9iO5iMmnVYvUBWfk1pVqHzF\n"
    b"1n0u2eW0X3nZq7mE0f0m3u0fE2kqkq9Jb6yJ0T7b1l1j3xv8m2Q2q7ECAwEAAQ==\n"
    b"-----END PUBLIC KEY-----\n"
)
"""What everybody may know of an issuer."""


def part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def made(
    header: dict[str, Any], claims: dict[str, Any], secret: bytes, algorithm: Any = hashlib.sha256
) -> bearer.Token:
    signed = f"{part(header)}.{part(claims)}"
    return bearer.Token(f"{signed}.{part(hmac.new(secret, signed.encode(), algorithm).digest())}")


def claims(user: str = ROOT) -> dict[str, Any]:
    return jwt.claims_for(user, 600)


def cut(token: bearer.Token, keep: int) -> bearer.Token:
    return bearer.Token(token.reveal()[:keep])


HS = {"alg": "HS256", "typ": "JWT"}
BAD: dict[str, Callable[[Attacked], bearer.Token]] = {
    "signed with another key": lambda _: made(HS, claims(), b"x" * 32),
    "signed with nothing": lambda _: made(HS, claims(), b""),
    "HS256 with a public key": lambda _: made(HS, claims(), PUBLIC_KEY),
    "RS256 with a public key": lambda _: made({"alg": "RS256", "typ": "JWT"}, claims(), PUBLIC_KEY),
    "RS256 with a kid": lambda _: made({"alg": "RS256", "kid": "../../dev/null"}, claims(), PUBLIC_KEY),
    "HS512": lambda a: made({"alg": "HS512"}, claims(), a.live.fetch(NODE, f"cat {KEY}"), hashlib.sha512),
    "alg none": lambda a: jwt.without_signature(a.token(ROOT)),
    "alg None": lambda _: bearer.Token(f"{part({'alg': 'None'})}.{part(claims())}."),
    "alg none, with a signature": lambda _: made({"alg": "none"}, claims(), b"x"),
    "no alg": lambda _: made({"typ": "JWT"}, claims(), b"x"),
    "alg is a list": lambda _: made({"alg": ["HS256"]}, claims(), b"x"),
    "zero signature": lambda a: jwt.with_forged_signature(a.token(ROOT)),
    "user changed": lambda a: jwt.with_other_claims(a.token(ORDINARY), sun=ROOT),
    "end changed": lambda a: jwt.with_other_claims(a.token(ROOT, exp=1), exp=2**31 - 1),
    "expired": lambda a: jwt.expired(ROOT, a.key),
    "expired long ago": lambda a: a.token(ROOT, exp=1),
    "end is negative": lambda a: a.token(ROOT, exp=-1),
    "no user": lambda a: a.token(ROOT, sun=None),
    "user is empty": lambda a: a.token(ROOT, sun=""),
    "user is a number": lambda a: a.token(ROOT, sun=0),
    "user is null": lambda a: jwt.encode({**claims(), "sun": None}, a.key),
    "no signature part": lambda a: bearer.Token(a.token(ROOT).reveal().rpartition(".")[0]),
    "half of it": lambda a: cut(a.token(ROOT), 40),
    "dots": lambda _: bearer.Token(".."),
    "long": lambda _: bearer.Token("a" * 60000),
}


REFUSALS = (
    *("no-token", "bad-token", "alg-none", "expired-token", "userless-token", "other-user", "unknown-url", "escaping"),
)


@pytest.mark.parametrize("name", list(BAD))
def test_a_bad_token_opens_nothing(attacked: Attacked, name: str) -> None:
    token = BAD[name](attacked)
    for family, path in (("slurm", "diag"), ("slurm", "jobs"), ("slurmdb", "clusters"), ("slurmdb", "diag")):
        try:
            response = attacked.ask(token, path, user=ROOT, family=family)
        except ClientError:
            continue
        assert refused(response), f"{family} {path}: {response.status} {response.text[:500]}"
    attacked.good_client()


def test_the_checks_of_verify_refuse_all(attacked: Attacked) -> None:
    """Forged, unsigned, expired and userless tokens, another user's, none: proven at the end of every start."""
    cluster = load(attacked.live.name)
    assert cluster is not None
    assert cluster.verify is not None
    found = {check["id"]: check["ok"] for check in cluster.verify["checks"]}
    for check in REFUSALS:
        assert found[check] is True, check


@pytest.mark.parametrize("user", [ROOT, "slurm", "slurmrestd", "nobody", "0"])
def test_one_s_own_token_does_not_act_for_others(attacked: Attacked, user: str) -> None:
    token = attacked.token(ORDINARY)
    assert attacked.ask(token).status == 200, "it is good for its own user"
    for family, path in (("slurm", "diag"), ("slurm", "jobs"), ("slurmdb", "clusters")):
        response = attacked.ask(token, path, user=user, family=family)
        assert refused(response), f"{family} {path}: {response.status} {response.text[:500]}"


def job(attacked: Attacked, **changes: Any) -> bytes:
    body = job_submission(
        api_version(attacked.api),
        name="attack",
        script="#!/bin/sh\nsleep 60\n",
        directory="/tmp",
        environment={"PATH": "/bin:/usr/bin"},
    )
    body["job"].update(changes)
    return json.dumps(body).encode()


def owners(attacked: Attacked) -> list[str]:
    """Owners of all jobs there are."""
    return attacked.ssh("squeue --noheader --states=all --format=%U").split()


@pytest.mark.parametrize("claim", [{"user_id": 0}, {"user_id": "root"}, {"user_id": "0", "group_id": "0"}])
def test_nobody_submits_as_somebody_else(attacked: Attacked, claim: dict[str, Any]) -> None:
    before = owners(attacked).count("0")
    with contextlib.suppress(ClientError):
        attacked.ask(attacked.token(ORDINARY), "job/submit", method="POST", body=job(attacked, **claim))
    assert owners(attacked).count("0") == before
    attacked.ssh("scancel --user=alice || true")


@pytest.mark.parametrize(
    ("method", "path", "family"),
    [
        ("DELETE", "job/{job}", "slurm"),
        ("POST", "job/{job}", "slurm"),
        ("GET", "reconfigure", "slurm"),
        ("POST", f"node/{NODE}", "slurm"),
        ("DELETE", f"node/{NODE}", "slurm"),
        ("POST", "reservation", "slurm"),
        ("POST", "users", "slurmdb"),
        ("POST", "user", "slurmdb"),
        ("POST", "qos", "slurmdb"),
        ("DELETE", "qos/normal", "slurmdb"),
        ("DELETE", "user/alice", "slurmdb"),
        ("DELETE", "cluster/slurmrest", "slurmdb"),
        ("POST", "config", "slurmdb"),
    ],
)
def test_an_ordinary_token_changes_nothing_of_others(attacked: Attacked, method: str, path: str, family: str) -> None:
    number = attacked.ssh("sbatch --parsable --hold --chdir=/tmp --wrap='sleep 60'").strip()
    before = state(attacked, number)
    bodies = {
        "POST": json.dumps(
            {
                "priority": 1,
                "name": "attack",
                "state": ["DOWN"],
                "users": [{"name": "mallory", "administrator_level": ["Administrator"]}],
                "qos": [{"name": "attack"}],
            }
        ).encode()
    }
    url = path.format(job=number)
    with contextlib.suppress(ClientError):
        response = attacked.ask(attacked.token(ORDINARY), url, method=method, family=family, body=bodies.get(method))
        assert path != "reconfigure" or response.status >= 400, response.text[:500]
    assert state(attacked, number) == before
    attacked.ssh(f"scancel {number}")


def state(attacked: Attacked, number: str) -> str:
    """What the attempts would change: a job of root, nodes, accounting, the daemon itself."""
    return attacked.ssh(
        f"scontrol show job {number} | grep -E 'JobState|JobName|Priority'; sinfo --noheader --format='%n %E %a'; "
        "sacctmgr --noheader --parsable2 show user format=user,adminlevel; "
        "sacctmgr --noheader --parsable2 show qos format=name; "
        "sacctmgr --noheader --parsable2 show cluster format=cluster; "
        "systemctl show -p MainPID,NRestarts --value slurmctld"
    )


def test_a_token_for_a_user_whom_nobody_knows(attacked: Attacked) -> None:
    """Only who has the key, or is root or SlurmUser, has such a token made. What it opens: see the release table."""
    token = attacked.token("nobody-is-called-so")
    read = attacked.ask(token, "jobs")
    assert (read.status < 300) is attacked.release.unknown_user_reads, read.text[:500]
    before = owners(attacked)
    response = attacked.ask(token, "job/submit", method="POST", body=job(attacked))
    deadline = time.monotonic() + 5
    while owners(attacked) == before and response.status < 300 and time.monotonic() < deadline:
        time.sleep(0.2)
    new = owners(attacked)[len(before) :] if response.status < 300 else []
    assert bool(new) is attacked.release.unknown_user_submits, response.text[:500]
    assert not {"0"} & set(new), "whatever it becomes, it is not root's"
    for method, path, family in (("DELETE", "user/alice", "slurmdb"), ("GET", "diag", "slurmdb")):
        assert refused(attacked.ask(token, path, method=method, family=family)), path
    attacked.ssh("scancel --name=attack || true")
