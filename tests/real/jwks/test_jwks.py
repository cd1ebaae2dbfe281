"""Tokens of a real OpenID provider: what they are good for, what is refused, and keys that change under load."""

from __future__ import annotations

import json
import os
import re
import ssl
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.auth.bearer import Token
from slurmrest.auth.jwt import with_forged_signature, with_other_claims, without_signature
from slurmrest.rest import answers, job_answers
from slurmrest.rest.payloads import job_submission

from tests.real.jwks.conftest import JWKS, LAYOUTS, USER, Issued, eventually, takes_any_type
from tests.real.jwks.load import FAILED, FAMILIES, GOOD, Load, judge
from tests.real.jwks.provider import SigningKey, with_hmac

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

on_every_layout = pytest.mark.parametrize("issued", LAYOUTS, indirect=True)

BAR_SECONDS = 5.0
SCORE = 3.0
"""The worst score of systemd-analyze for the service: it needs the network, and root."""

REFUSALS = re.compile(
    r"jwt_decode failure|token expired|matching kid|failed to verify|no jwks|no kid|authentication error|no support for"
)
"""How the daemons' logs speak of a token that they refuse."""


TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")


def say(words: str) -> None:
    """Show a line to whoever watches the tests (pytest --capture=no)."""
    sys.stdout.write(f"\n{words}\n")


def claims(issued: Issued, user: str = USER, **more: Any) -> dict[str, Any]:
    """The claims of a token that is good."""
    now = int(time.time())
    return {issued.provider.claim: user, "iat": now, "exp": now + 600, **more}


def assert_good(issued: Issued, token: str) -> None:
    """Both daemons accept it."""
    assert {family: judge(issued, token, family)[0] for family in FAMILIES} == dict.fromkeys(FAMILIES, GOOD)


def assert_refused(issued: Issued, token: str, what: str) -> None:
    """Both daemons refuse it, and it is the token: a good one is accepted meanwhile."""
    for family in FAMILIES:
        verdict, words = judge(issued, token, family)
        assert verdict != GOOD, f"{what} is accepted by {family}: {words}"
    answer = issued.ask(token, "nodes")
    assert answer.status == issued.release.bad_token_status, (what, answer.text)
    assert_good(issued, issued.provider.keys[0].sign(claims(issued)))


# --- what a token is good for ----------------------------------------------------------------------------------------


@on_every_layout
def test_a_token_of_the_login_flow_lists_nodes_and_runs_a_job(issued: Issued) -> None:
    token = issued.provider.login(USER)
    nodes = issued.ask(token, "nodes")
    assert issued.having("slurmd") in [name for name, _states in job_answers.nodes(nodes.json())], nodes.text
    body = job_submission(
        issued.api,
        name="from-the-portal",
        script="#!/bin/sh\nid -un\n",
        directory="/tmp",
        environment={"PATH": "/bin:/usr/bin"},
        output="/tmp/portal.out",
    )
    submitted = issued.ask(token, "job/submit", body=json.dumps(body).encode()).json()
    assert answers.errors_of(submitted) == []
    job = submitted["job_id"]
    done = eventually(
        lambda: (status := job_answers.job_status(issued.ask(token, f"job/{job}").json())).completed and status,
        f"job {job} to end",
    )
    assert not done.failed
    assert issued.ssh("cat /tmp/portal.out", issued.having("slurmd")) == f"{USER}\n"
    assert issued.ssh(f"scontrol show job {job} | grep -o 'UserId=[a-z]*'").strip() == f"UserId={USER}"
    assert_good(issued, token)


def test_the_type_of_a_token_matters_to_an_old_libjwt_only(issued: Issued) -> None:
    verdicts = {}
    for typ in ("JWT", "at+jwt", ""):
        token = issued.provider.keys[0].sign(claims(issued), typ=typ)
        verdicts[typ] = {judge(issued, token, family)[0] == GOOD for family in FAMILIES}
    assert verdicts == {"JWT": {True}, "at+jwt": {takes_any_type(issued)}, "": {True}}


def test_tokens_of_scontrol_stay_good_beside_them(issued: Issued) -> None:
    assert_good(issued, scontrol_token(issued))


@on_every_layout
def test_a_second_run_changes_nothing(issued: Issued) -> None:
    pids = issued.pids()
    play = issued.deploy("--diff").good()
    assert play.changed == 0, play.output
    assert issued.pids() == pids


@on_every_layout
def test_keys_are_where_daemons_read_them_and_nowhere_else(issued: Issued) -> None:
    look = f"stat -c '%U %G %a' {JWKS} 2>/dev/null; systemctl is-active slurmrest-jwks.timer"
    found = {node.name: issued.ssh(look, node.name, check=False).split() for node in issued.state.nodes}
    assert {host for host, words in found.items() if words == ["root", "root", "644", "active"]} == {*issued.hosts}
    assert {host for host, words in found.items() if words == ["inactive"]} == {*found} - {*issued.hosts}


def test_the_service_is_sandboxed(issued: Issued) -> None:
    score = float(
        issued.ssh("systemd-analyze security --no-pager slurmrest-jwks.service | tail -n1 | grep -o '[0-9]*[.][0-9]'")
    )
    say(f"systemd-analyze security slurmrest-jwks.service on {issued.live.release}: {score}")
    assert score <= SCORE
    timer = issued.ssh("systemctl show -p UnitFileState,ActiveState --value slurmrest-jwks.timer").split()
    assert sorted(timer) == ["active", "enabled"]
    issued.unchanged("first")


# --- what is refused -------------------------------------------------------------------------------------------------

ATTACKS: dict[str, Callable[[Issued, str], str]] = {
    "alg none": lambda _issued, good: without_signature(Token(good)).reveal(),
    "a signature of nobody": lambda _issued, good: with_forged_signature(Token(good)).reveal(),
    "claims changed after signing": lambda issued, good: with_other_claims(
        Token(good), **{issued.provider.claim: "root"}
    ).reveal(),
    "expired": lambda issued, _good: issued.provider.keys[0].sign(claims(issued, exp=int(time.time()) - 5)),
    "no expiry": lambda issued, _good: issued.provider.keys[0].sign({issued.provider.claim: USER}),
    "a kid that is not there": lambda issued, _good: issued.provider.keys[0].sign(claims(issued), kid="nobody"),
    "no kid": lambda issued, _good: issued.provider.keys[0].sign(claims(issued), kid=None),
    "another key of that kid": lambda issued, _good: SigningKey(issued.provider.keys[0].kid).sign(claims(issued)),
    "no user": lambda issued, _good: issued.provider.keys[0].sign({**claims(issued), issued.provider.claim: None}),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_spoilt_tokens_are_refused(issued: Issued, attack: str) -> None:
    good = issued.provider.login(USER)
    assert_good(issued, good)
    assert_refused(issued, ATTACKS[attack](issued, good), attack)


def test_the_public_key_is_no_secret_for_hs256(issued: Issued) -> None:
    key = issued.provider.keys[0]
    files = {"the file": issued.ssh(f"cat {JWKS}").encode()}
    for form, secret in {**key.public_forms(), **files}.items():
        for user in (USER, "root"):
            forged = with_hmac(claims(issued, sun=user), secret, key.kid)
            verdicts = {family: judge(issued, forged, family)[0] for family in FAMILIES}
            assert GOOD not in verdicts.values(), (form, verdicts)
    assert_refused(issued, with_hmac(claims(issued), key.public_forms()["pem"], key.kid), "pem")


def test_an_ordinary_user_cannot_act_for_another(issued: Issued) -> None:
    answer = issued.ask(issued.provider.login(USER), "nodes", user="root")
    assert answer.status == issued.release.bad_token_status


def test_what_slurm_does_not_check(issued: Issued) -> None:
    """The reason for the acknowledgement: not that this is wanted, but that it is so."""
    key = issued.provider.keys[0]
    assert_good(issued, key.sign(claims(issued, iss="https://elsewhere.example.org", aud="another", nbf=2**31)))
    root = key.sign(claims(issued, sun="root"))
    answer = issued.ask(root, "diag", user="root", family="slurmdb")
    assert answer.status == 200
    assert answer.json()["statistics"]


# --- what the roles refuse -------------------------------------------------------------------------------------------


def bad_variables(issued: Issued) -> dict[str, dict[str, Any]]:
    """Variables that are refused, by what is said."""
    issuer = {"name": "login", "url": "http://idp.example.org/jwks"}
    found: dict[str, dict[str, Any]] = {
        "slurm_jwks_acknowledged: false is refused": {"slurm_jwks_acknowledged": False},
        "slurm_jwks_issuers, login: url: 'http://idp.example.org/jwks' is refused": {"slurm_jwks_issuers": [issuer]},
        "slurm_conf_max_token_lifespan: -1 is refused": {"slurm_conf_max_token_lifespan": -1},
    }
    if not issued.release.userclaimfield:
        found["slurm_conf_userclaimfield: 'email' is refused"] = {"slurm_conf_userclaimfield": "email"}
    if not issued.release.use_jwt_client_ids:
        found["slurm_conf_client_ids: 'use' is refused"] = {"slurm_conf_client_ids": "use"}
    return found


def test_bad_variables_are_refused_before_anything_changes(issued: Issued) -> None:
    state = f"cat /etc/slurm/*.conf {JWKS} | sha256sum"
    before, pids = issued.ssh(state), issued.pids()
    for words, variables in bad_variables(issued).items():
        play = issued.deploy(**variables)
        assert play.status != 0, words
        assert words in play.output, play.output
        assert play.changed == 0
    assert (issued.ssh(state), issued.pids()) == (before, pids)


def scontrol_token(issued: Issued, words: str = "") -> str:
    """What scontrol gives an ordinary user; the words of its refusal otherwise."""
    said = issued.ssh(f"su {USER} -s /bin/sh -c 'scontrol token {words}' 2>&1", check=False)
    return said.strip().removeprefix("SLURM_JWT=")


def test_options_of_the_release_are_in_force_and_go_again(issued: Issued) -> None:
    options = issued.ssh("grep ^AuthAltParameters /etc/slurm/slurm.conf")
    issued.deploy(slurm_conf_max_token_lifespan=3600).good()
    assert not TOKEN.fullmatch(scontrol_token(issued, "lifespan=7200"))
    assert_good(issued, scontrol_token(issued, "lifespan=600"))
    issued.deploy(slurm_conf_disable_token_creation=True).good()
    assert not TOKEN.fullmatch(scontrol_token(issued))
    assert_good(issued, issued.provider.login(USER))
    issued.deploy().good()
    assert issued.ssh("grep ^AuthAltParameters /etc/slurm/slurm.conf") == options
    assert_good(issued, scontrol_token(issued))


def test_claims_say_who_somebody_is_where_the_release_can(issued: Issued) -> None:
    if not issued.release.use_jwt_client_ids:
        refused = issued.deploy(slurm_conf_client_ids="only")
        assert "slurm_conf_client_ids: 'only' is refused" in refused.words
        assert refused.changed == 0
        return
    uid, gid = issued.ssh(f"id -u {USER}; id -g {USER}").split()
    person = {"name": USER, "gecos": "Alice", "dir": f"/home/{USER}", "shell": "/bin/sh", "gids": [int(gid)]}
    whole = issued.provider.keys[0].sign(claims(issued, uid=int(uid), gid=int(gid), id=person))
    plain, scontrols = issued.provider.login(USER), scontrol_token(issued)
    verdicts = {}
    for value in ("use", "only", "ignore"):
        play = issued.deploy(slurm_conf_client_ids=value).good()
        assert ("Nothing was asked" in play.output) is (value == "only")
        tokens = {"whole": whole, "plain": plain, "scontrol's": scontrols}
        verdicts[value] = [
            name for name, token in tokens.items() if {judge(issued, token, family)[0] for family in FAMILIES} == {GOOD}
        ]
    everything = ["whole", "plain", "scontrol's"]
    assert verdicts == {"use": everything, "only": ["whole"], "ignore": everything}


def test_issuers_alone_make_tokens_where_hs256_is_off(issued: Issued, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(issued.provider.login("root"))
    before = scontrol_token(issued)
    play = issued.deploy(slurm_common_hs256=False, slurmrest_verify_token_file=str(file)).good()
    assert "all good" in play.words, play.output
    assert_good(issued, issued.provider.login(USER))
    assert_refused(issued, before, "a token of scontrol")
    assert not TOKEN.fullmatch(scontrol_token(issued))
    again = issued.deploy(slurm_common_hs256=False).good()
    assert again.changed == 0, again.output
    assert "Nothing was asked" in again.words
    issued.deploy().good()
    assert_good(issued, scontrol_token(issued))


# --- keys that change ------------------------------------------------------------------------------------------------


@contextmanager
def impostor(issued: Issued, answer: bytes, status: int = 200) -> Iterator[None]:
    """Something else behind the provider's address, with its certificate."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    issued.provider.stop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.provider.certificate, issued.provider.directory / "tls.pem")
    server = ThreadingHTTPServer(("127.0.0.1", issued.provider.port), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        issued.provider.start()


@on_every_layout
def test_the_set_stays_when_the_issuer_fails(issued: Issued) -> None:
    token, pids, before = issued.provider.login(USER), issued.pids(), issued.everywhere(f"cat {JWKS}")
    published = issued.provider.published()
    private = {"keys": [{**published["keys"][0], "d": "AQAB"}]}
    unusable = {"keys": [{"kty": "EC", "kid": "x"}]}
    said: dict[str, dict[str, str]] = {}
    for name, answer, status in (
        ("malformed", b"<html>", 200),
        ("an error", b"", 503),
        ("nothing to use", json.dumps(unusable).encode(), 200),
        ("a private key", json.dumps(private).encode(), 200),
    ):
        with impostor(issued, answer, status):
            said[name] = issued.refresh(good=False)
    issued.provider.stop()
    said["down"] = issued.refresh(good=False)
    issued.provider.start()
    expected = {
        "malformed": "this is not JSON",
        "an error": "status 503",
        "nothing to use": "no key for RS256",
        "a private key": "private parts (d)",
        "down": "login (https://127.0.0.1:",
    }
    for name, words in expected.items():
        for text in said[name].values():
            assert words in text
            assert "login (https://127.0.0.1:" in text
    assert issued.everywhere(f"cat {JWKS}") == before
    assert issued.pids() == pids
    assert_good(issued, token)
    issued.unchanged("first")


@on_every_layout
def test_keys_rotate_and_no_good_token_is_refused(issued: Issued) -> None:
    provider = issued.provider
    first, second = provider.keys[0], SigningKey("second")
    old, began, restarting = provider.login(USER), time.time(), time.monotonic()
    with Load(issued) as load:
        load.add("old", old)
        eventually(lambda: load.goods(restarting) > 20, "load")
        provider.keys = [first, second]
        provider.start()
        restarting = time.monotonic()
        issued.loaded("first, second")
        restarted = time.monotonic()
        eventually(lambda: load.goods(restarted) > 20, "the old token to be good with both keys")
        provider.keys = [second, first]
        provider.start()
        new = provider.login(USER)
        load.add("new", new)
        issued.unchanged("first, second")
        eventually(lambda: load.goods(restarted) > 20, "both tokens to be good")
    lines = [line for line in issued.logged(began).splitlines() if REFUSALS.search(line)]
    assert lines == []
    bad = load.not_good()
    assert [one for one in bad if one[2].verdict != FAILED] == []
    bar = BAR_SECONDS * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert [one for one in bad if not restarting - 1 < one[2].sent < restarted + bar] == []
    asked = sum(map(len, load.samples.values()))
    gaps = {family: load.longest_gap(family) for family in FAMILIES}
    how = "reconfigure" if issued.release.reconfigure_rereads_key else "restart"
    hosts = len(issued.state.nodes)
    say(
        f"rotation on {issued.live.release}, {hosts} host(s): {asked} requests, none refused, {len(bad)} while daemons "
        "came back; "
        + ", ".join(f"{family} {gap:.2f} s" for family, gap in gaps.items())
        + f" without an answer (slurmctld: {how}, slurmdbd: restart)"
    )
    assert max(gaps.values()) < bar
    provider.keys = [second]
    provider.start()
    issued.loaded("second")
    eventually(lambda: judge(issued, new, "slurm")[0] == GOOD, "slurmctld")
    assert_refused(issued, old, "a token of the key that is gone")
    assert_good(issued, new)


# --- a site's own files ----------------------------------------------------------------------------------------------


def as_a_site(issued: Issued) -> tuple[str, str]:
    """Make slurm.conf and slurmdbd.conf the site's own, without public keys; returns their paths and what they say."""
    confs = "/etc/slurm/slurm.conf /etc/slurm/slurmdbd.conf"
    issued.ssh(
        f"sed -i -e 's/slurmrest.toolkit wrote/the site wrote/' -e 's/,jwks=.*//' {confs}; "
        "systemctl restart slurmdbd slurmctld; rm -rf /var/lib/slurmrest-jwks"
    )
    eventually(lambda: judge(issued, scontrol_token(issued), "slurmdb")[0] == GOOD, "the site's cluster")
    return confs, issued.ssh(f"cat {confs}")


def test_a_site_s_own_files_take_it_and_give_it_back(issued: Issued) -> None:
    confs, site = as_a_site(issued)
    pids = issued.pids()
    own = {"slurm_conf_cluster_name": "", "slurm_conf_mode": "merge"}
    token = issued.provider.login(USER)

    play = issued.deploy(**own).good()
    assert "slurmrest_allow_controller_restart" in play.output
    assert (issued.ssh(f"cat {confs}"), issued.pids()) == (site, pids)
    assert issued.ssh("systemctl is-active slurmrest-jwks.timer", check=False).strip() != "active"

    own["slurmrest_allow_controller_restart"] = True  # type: ignore[assignment]
    checked = issued.deploy("--check", "--diff", **own).good()
    assert f"jwks={JWKS}" in checked.output
    assert issued.ssh(f"cat {confs}") == site
    issued.deploy(**own).good()
    eventually(lambda: judge(issued, token, "slurm")[0] == GOOD, "the issuer's token")
    assert_good(issued, token)
    assert_good(issued, scontrol_token(issued))
    again = issued.deploy(**own).good()
    assert again.changed == 0, again.output

    issued.deploy(**{**own, "slurm_jwks_issuers": [], "slurm_conf_userclaimfield": ""}).good()
    assert issued.ssh(f"cat {confs}") == site
    assert judge(issued, token, "slurm")[0] != GOOD
    assert issued.ssh("systemctl is-active slurmrest-jwks.timer", check=False).strip() != "active"
    assert "jwks" not in issued.ssh(
        "find /etc/systemd /etc/slurmrest /usr/local/lib/slurmrest -name '*jwks*'", check=False
    )


def test_uninstalling_takes_the_keys_away(issued: Issued) -> None:
    confs, site = as_a_site(issued)
    own = {"slurm_conf_cluster_name": "", "slurm_conf_mode": "merge", "slurmrest_allow_controller_restart": True}
    issued.deploy(**own).good()
    assert f"jwks={JWKS}" in issued.ssh(f"cat {confs}")
    variables = {**issued.variables, **own}
    del variables["slurmrest_allow_controller_restart"]
    issued.live.playbook("uninstall.yml", variables=variables).good()
    assert f"jwks={JWKS}" in issued.ssh(f"cat {confs}"), "what daemons read stays without consent"
    assert issued.ssh(f"cat {JWKS}")
    issued.live.playbook("uninstall.yml", variables={**issued.variables, **own}).good()
    assert issued.ssh(f"cat {confs}") == site
    where = "/var/lib/slurm /var/lib/slurmrest-jwks /var/lib/slurmrest /etc /usr/local"
    assert issued.ssh(f"find {where} -name '*jwks*' -o -path /usr/local/lib/slurmrest", check=False) == ""
    assert issued.ssh("systemctl is-active slurmctld slurmdbd").split() == ["active", "active"]
    again = issued.live.playbook("uninstall.yml", variables={**issued.variables, **own}).good()
    assert again.changed == 0, again.output
