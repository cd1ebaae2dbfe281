"""Logins of a gateway for real: PAM and client certificates, jobs that belong to who logged in, and the way back."""

from __future__ import annotations

import json
import re
import secrets
import ssl
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.auth.bearer import TOKEN_HEADER, USER_HEADER, Token
from slurmrest.auth.jwt import inspect

from tests.real.clusters import ROOT, slurmrest
from tests.real.gateway.test_hosts import revision
from tests.real.jwks.provider import Browser, Provider
from tests.real.tunnel import tunnel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.real.gateway.gate import Answer, Gate

PASSWORDS = {user: secrets.token_urlsafe(16) for user in ("alice", "bob", "root")}
PEOPLE = "/etc/slurmrest-gateway/people.pem"
SUBJECTS = {"CN=alice,O=Example": "alice", "CN=root,O=Example": "root"}
FOREIGN = {"Origin": "https://foreign.example.org"}
KEY = "/var/lib/slurmrest-identity/key.pem"
# All of these log in from one address, more often than people do.
PAM: dict[str, Any] = {"identity": "pam", "login_rate": 6000}


def cookie(answer: Answer) -> dict[str, str]:
    """What a browser sends from then on."""
    assert answer.status == 200, answer.body
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


def page(answer: Answer) -> dict[str, str]:
    """What the gateway's own page sends where it changes something."""
    return {**cookie(answer), "X-CSRF-Token": answer.json()["csrf"]}


def bearer(gate: Gate, user: str) -> dict[str, str]:
    """What a program of this user sends."""
    answer = gate.log_in(user, PASSWORDS[user], bearer=True)
    assert answer.status == 200, answer.body
    return {"Authorization": f"Bearer {answer.json()['bearer']}"}


def everything(gate: Gate) -> str:
    """What the hosts keep in words: journals, logs, and the arguments and environments of processes."""
    words = (
        "journalctl -o cat; cat /var/log/nginx/* /var/log/slurm*/* 2>/dev/null; cat /proc/[0-9]*/cmdline | tr '\\0' ' '"
    )
    return "".join(gate.live.ssh(node, f"{words}; true") for node in {*gate.hosts, gate.controller})


def test_logins_without_a_key_are_refused(gate: Gate) -> None:
    before = revision(gate)
    refused = gate.play(identity="pam")
    assert refused.status != 0
    assert "slurmrest_gateway_identity: 'pam' is refused" in refused.output
    assert "Run playbooks/deploy.yml" in refused.output
    assert refused.changed == 0
    assert revision(gate) == before


@pytest.fixture(scope="module")
def by_password(gate: Gate) -> Iterator[Gate]:
    """The gateway with names and passwords; at the end with users' own tokens again."""
    # Where hosts are apart, that of the gateway does not know the cluster's first user yet.
    gate.live.ssh(gate.node, "id alice || useradd --uid 2000 alice")
    for user, password in PASSWORDS.items():
        gate.live.ssh(gate.node, f"echo '{user}:{password}' | chpasswd")
    gate.deploy("--check", **PAM).good()
    gate.deploy(**PAM).good()
    assert gate.deploy(**PAM).good().changed == 0
    assert gate.play("--check", **PAM).good().changed > 0
    assert gate.play(**PAM).good().changed > 0
    yield gate
    gate.deploy().good()
    assert gate.play().good().changed > 0
    assert gate.play().good().changed == 0
    assert gate.ask(gate.path("diag"), gate.who("alice")).status == 200
    units, sockets = "/etc/systemd/system/slurmrest-", "/run/slurmrest-"
    left = gate.live.ssh(
        gate.node,
        f"ls -d {KEY} /etc/slurmrest/identity.json {units}identity* {units}pam* {sockets}identity* {sockets}pam* "
        "/etc/pam.d/slurmrest* /usr/local/lib/slurmrest/*.pyz 2>/dev/null; "
        "getent passwd slurmrest-identity slurmrest-pam; true",
    )
    assert left == ""
    assert "jwks=" not in gate.live.ssh(gate.controller, "cat /etc/slurm/slurm.conf")


def test_a_second_run_with_logins_changes_nothing(by_password: Gate) -> None:
    assert by_password.play("--check", **PAM).good().changed == 0
    assert by_password.play(**PAM).good().changed == 0


def test_the_verification_proves_a_login(by_password: Gate, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.touch(0o600)
    file.write_text(PASSWORDS["alice"] + "\n")
    how = (
        "--gateway",
        by_password.url,
        "--cacert",
        by_password.ca_file,
        "--login",
        "alice",
        "--password-file",
        str(file),
    )
    done = slurmrest("verify", *how, "--job")
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "alice, by the login" in done.stdout
    file.write_text("wrong\n")
    assert slurmrest("verify", *how).returncode == 2


@pytest.mark.parametrize(
    "more",
    [
        [],
        [(USER_HEADER, "bob")],
        [("x-slurm-user-name", "bob"), ("x-slurm-user-token", "a.b.c")],
        [("X_SLURM_USER_NAME", "bob")],
        [("Connection", USER_HEADER)],
        [("Connection", "Cookie"), (USER_HEADER, "bob")],
        [("X-Client-Verify", "SUCCESS"), ("X-Client-Subject", "CN=bob,O=Example")],
        [("X-Method", "GET"), ("X-Own-Host", "foreign.example.org")],
    ],
    ids=lambda more: " ".join(":".join(pair) for pair in more) or "nothing",
)
def test_alice_s_job_is_alice_s(by_password: Gate, more: list[tuple[str, str]]) -> None:
    """Whatever is sent beside her login, before and behind it."""
    own = list(page(by_password.log_in("alice", PASSWORDS["alice"])).items())
    for headers in ([*own, *more], [*more, *own]):
        answer = by_password.submit(headers, "login")
        assert answer.status == 200, answer.body
        assert by_password.owner(answer.json()["job_id"]) == "alice"


def test_bob_s_own_token_beside_alice_s_login_is_nothing(by_password: Gate) -> None:
    headers = {**bearer(by_password, "alice"), **by_password.who("bob")}
    assert by_password.owner(by_password.submit(headers, "login").json()["job_id"]) == "alice"
    assert by_password.submit(by_password.who("bob"), "login").status == 401
    assert by_password.submit(by_password.who("root"), "login").status == 401


def test_a_page_of_another_origin_changes_nothing(by_password: Gate) -> None:
    answer = by_password.log_in("alice", PASSWORDS["alice"])
    own, whole = cookie(answer), page(answer)
    assert "; Secure; HttpOnly; SameSite=Lax" in answer.headers["set-cookie"]
    assert by_password.submit(own, "login").status == 403
    assert by_password.submit({**own, "X-CSRF-Token": "x"}, "login").status == 403
    assert by_password.submit({**whole, **FOREIGN}, "login").status == 403
    assert by_password.log_in("alice", PASSWORDS["alice"], FOREIGN).status == 403
    assert by_password.submit({**whole, "Origin": by_password.url}, "login").status == 200
    assert by_password.ask(by_password.path("diag"), own).status == 200
    assert by_password.ask("/auth/logout", whole, "POST", b"").status == 200
    assert by_password.ask(by_password.path("diag"), own).status == 401


def test_within_the_second_nobody_else_has_an_answer(by_password: Gate) -> None:
    alice, bob = bearer(by_password, "alice"), bearer(by_password, "bob")
    path = by_password.path("jobs")
    assert by_password.ask(path, alice).status == 200
    for nobody in ({}, {"Authorization": "Bearer x"}, {USER_HEADER: "alice"}):
        answer = by_password.ask(path, nobody)
        assert (answer.status, answer.cache) == (401, "")
    assert by_password.ask(path, bob).cache == "MISS"


@pytest.mark.parametrize("user", ["alice", "root", "slurm", "nobody", "nosuchuser"])
def test_refused_logins_are_alike(by_password: Gate, user: str) -> None:
    password = PASSWORDS["root"] if user == "root" else "wrong"
    answer = by_password.log_in(user, password)
    assert answer.status == 401
    assert answer.json()["errors"][0]["description"] == "The login is refused."
    assert 3.9 <= answer.seconds <= 8


def test_accounts_that_are_over_are_refused(by_password: Gate) -> None:
    """As the host's PAM says: expired, locked, to be changed; and one without a password at all."""
    node, ssh = by_password.node, by_password.live.ssh
    for over, mend in (
        ("chage -E 1 bob", "chage -E -1 bob"),
        ("usermod -L bob", "usermod -U bob"),
        ("chage -d 0 bob", "chage -d 2020-01-01 bob"),
        ("passwd -d bob", f"echo 'bob:{PASSWORDS['bob']}' | chpasswd"),
    ):
        ssh(node, over)
        assert by_password.log_in("bob", PASSWORDS["bob"]).status == 401, over
        ssh(node, mend)
        assert by_password.log_in("bob", PASSWORDS["bob"]).status == 200, mend


def test_who_is_listed_loses_what_he_has(by_password: Gate) -> None:
    own = bearer(by_password, "bob")
    assert by_password.ask(by_password.path("diag"), own).status == 200
    assert by_password.play(**PAM, users_denied=["bob"]).good().changed > 0
    assert by_password.log_in("bob", PASSWORDS["bob"]).status == 401
    assert by_password.ask(by_password.path("diag"), own).status == 401, "sessions ended with the service"
    by_password.play(**PAM).good()
    assert by_password.log_in("bob", PASSWORDS["bob"]).status == 200


def test_attempts_from_one_address_are_few(by_password: Gate) -> None:
    by_password.play(**{**PAM, "login_rate": 1}).good()
    answers = by_password.crowd(12, lambda _number: by_password.log_in("alice", "wrong"))
    by_password.play(**PAM).good()
    assert [answer.status for answer in answers].count(429) >= 6
    assert {answer.status for answer in answers} == {401, 429}


def test_without_the_identity_service_nobody_gets_in(by_password: Gate) -> None:
    own, ssh = bearer(by_password, "alice"), by_password.live.ssh
    ssh(by_password.node, "systemctl stop slurmrest-identity.service slurmrest-identity.socket")
    asked = by_password.ask(by_password.path("diag"), own)
    logged_in = by_password.log_in("alice", PASSWORDS["alice"])
    ssh(by_password.node, "systemctl start slurmrest-identity.socket slurmrest-identity.service")
    for answer in (asked, logged_in):
        assert (answer.status, answer.json()["errors"][0]["source"]) == (503, "gateway")
        assert answer.json()["errors"][0]["description"] == "The identity service gives no answer."
    assert by_password.ask(by_password.path("diag"), bearer(by_password, "alice")).status == 200


def test_accounts_have_what_they_need_and_no_more(by_password: Gate) -> None:
    ssh, node = by_password.live.ssh, by_password.node
    assert ssh(node, f"stat -c '%a %U' {KEY}").strip() == "600 slurmrest-identity"
    as_account = "setpriv --reuid {0} --regid {0} --clear-groups"
    for account, path in (("slurmrest-pam", KEY), ("slurmrest-identity", "/etc/shadow"), ("www-data", KEY)):
        assert by_password.live.failure(node, f"{as_account.format(account)} cat {path}"), (account, path)
    ask = "import socket; s=socket.socket(socket.AF_UNIX); s.connect('/run/slurmrest-{}.socket')"
    for account, socket in (("alice", "identity"), ("alice", "pam"), ("www-data", "pam")):
        assert by_password.live.failure(node, f'{as_account.format(account)} python3 -c "{ask.format(socket)}"')
    shown = ssh(node, "systemctl show -p User,NoNewPrivileges,ProtectSystem,CapabilityBoundingSet slurmrest-identity")
    assert set(shown.split()) == {
        "User=slurmrest-identity",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "CapabilityBoundingSet=",
    }


def test_nothing_keeps_passwords_sessions_or_tokens(by_password: Gate) -> None:
    answer = by_password.log_in("alice", PASSWORDS["alice"], bearer=True)
    own = {"Authorization": f"Bearer {answer.json()['bearer']}"}
    assert by_password.ask(by_password.path("diag"), own).status == 200
    token = by_password.live.ssh(
        by_password.node,
        "strings -a /run/slurmrest-gateway/cache/*/*/* 2>/dev/null | grep -o 'eyJ[^ ]*' | head -1; true",
    ).strip()
    said = everything(by_password)
    for secret in (*PASSWORDS.values(), answer.json()["bearer"], answer.json()["csrf"]):
        assert secret not in said
    assert "login of alice from" in said
    if token:
        assert inspect(Token(token)).user == "alice"
        assert token not in said


def test_the_example_page_is_served_from_its_own_origin(by_password: Gate) -> None:
    """Its files as they are, with a policy under which it can run nothing else; what it asks for is there."""
    node, pages = by_password.node, "/srv/slurm-pages"
    by_password.live.ssh(node, f"mkdir -p {pages}")
    for path in sorted((ROOT / "examples" / "web").iterdir()):
        by_password.live.ssh(node, f"cat >{pages}/{path.name} <<'END-OF-FILE'\n{path.read_text()}END-OF-FILE\n")
    assert by_password.play(**PAM, pages=pages).good().changed > 0
    page, script = by_password.ask("/"), by_password.ask("/page.js")
    by_password.live.ssh(node, f"chmod o+w {pages}")
    refused = by_password.play(**PAM, pages=pages)
    by_password.play(**PAM).good()
    assert (page.status, page.headers["content-type"]) == (200, "text/html")
    assert page.body == (ROOT / "examples" / "web" / "index.html").read_bytes()
    assert script.status == 200
    assert script.headers["content-type"].endswith("/javascript")
    assert script.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "slurmrest_gateway_pages" in refused.output
    assert refused.changed == 0
    assert by_password.ask("/").status == 404


def test_a_login_with_curl_as_the_documentation_has_it(by_password: Gate, tmp_path: Path) -> None:
    """Its lines word by word, but for where the gateway is, and a password that nobody is there to type."""
    text = (ROOT / "docs" / "gateway.md").read_text()
    (lines,) = re.findall(r"(?m)^    umask 077\n(?:    .*\n)+", text)
    (tmp_path / "password").write_text(PASSWORDS["alice"])
    (tmp_path / "job.json").write_text(json.dumps(by_password.job("curl")))
    for old, new in (
        ("getpass.getpass()", 'open("password").read()'),
        ("https://slurm.example.org", by_password.url),
        ("v0.0.42", by_password.version),
        ("curl -s", f"curl -s --cacert {by_password.ca_file}"),
    ):
        assert old in lines
        lines = lines.replace(old, new)
    done = subprocess.run(["bash", "-ec", lines], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert by_password.owner(json.loads(done.stdout)["job_id"]) == "alice"
    assert (tmp_path / "session").stat().st_mode & 0o077 == 0


# --- client certificates ---------------------------------------------------------------------------------------------


def pairs(gate: Gate) -> dict[str, tuple[str, str]]:
    """Certificates and keys of people by their names; the last one's is of nobody's authority."""
    directory = gate.live.directory

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)

    new = ("-newkey", "rsa:2048", "-nodes")
    openssl("req", "-x509", *new, "-days", "2", "-keyout", "people.key", "-out", "people.pem", "-subj", "/CN=People")
    found = {}
    for name in ("alice", "mallory", "root"):
        openssl("req", *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/O=Example/CN={name}")
        signer = ("-CA", "people.pem", "-CAkey", "people.key", "-CAcreateserial", "-days", "2")
        openssl("x509", "-req", "-in", f"{name}.csr", *signer, "-out", f"{name}.pem")
        found[name] = (str(directory / f"{name}.pem"), str(directory / f"{name}.key"))
    own = ("-keyout", "own.key", "-out", "own.pem", "-subj", "/O=Example/CN=alice")
    openssl("req", "-x509", *new, "-days", "2", *own)
    return {**found, "own": (str(directory / "own.pem"), str(directory / "own.key"))}


def test_client_certificates(by_password: Gate) -> None:
    gate, people = by_password, pairs(by_password)
    text = (gate.live.directory / "people.pem").read_text()
    gate.live.ssh(gate.node, f"cat >{PEOPLE} <<'END'\n{text}END\n")
    how: dict[str, Any] = {"identity": "mtls", "client_ca": PEOPLE, "subjects": SUBJECTS}
    assert "slurmrest_gateway_client_ca" in gate.play(**{**how, "client_ca": "/etc/hostname"}).output
    assert gate.play(**how).good().changed > 0
    assert gate.play(**how).good().changed == 0
    assert "slurmrest-pam" not in gate.live.ssh(gate.node, "ls /etc/systemd/system /usr/local/lib/slurmrest")
    alice = replace(gate, pair=people["alice"])
    done = slurmrest(
        "verify", "--gateway", gate.url, "--cacert", gate.ca_file, "--login", "alice", "--job",
        "--cert", people["alice"][0], "--key", people["alice"][1],
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    forms: list[dict[str, str]] = [{}, {USER_HEADER: "bob"}, {"X-Client-Subject": "CN=bob,O=Example"}, gate.who("bob")]
    for more in forms:
        answer = alice.submit(more, "certificate")
        assert answer.status == 200, answer.body
        assert gate.owner(answer.json()["job_id"]) == "alice"
    assert alice.submit(FOREIGN, "certificate").status == 403
    path = gate.path("diag")
    assert alice.ask(path).status == 200
    statuses = {name: replace(gate, pair=people[name]).ask(path).status for name in ("mallory", "root", "own")}
    assert statuses == {"mallory": 401, "root": 403, "own": 401}
    assert gate.ask(path, {"X-Client-Verify": "SUCCESS", "X-Client-Subject": "CN=alice,O=Example"}).status == 401
    assert json.loads(gate.ask(path).body)["errors"][0]["source"] == "gateway"
    assert TOKEN_HEADER.lower() not in alice.ask(path).headers
    gate.play(**PAM).good()


# --- an OpenID provider ----------------------------------------------------------------------------------------------


def test_an_openid_provider(by_password: Gate, tmp_path: Path) -> None:
    """Npm's oidc-provider, by the authorization code flow with PKCE, as a browser goes through it."""
    gate, authority = by_password, "/etc/slurmrest-gateway/provider.pem"
    provider = Provider(tmp_path, "username", f"{gate.url}/auth/callback")
    provider.start()
    with ExitStack() as stack:
        stack.callback(provider.stop)
        stack.enter_context(tunnel(gate.live, gate.node, provider.port))
        gate.live.ssh(gate.node, f"cat >{authority} <<'END'\n{provider.certificate.read_text()}END\n")
        known = {"issuer": provider.url, "client_id": "portal", "claim": "sub", "ca_file": authority}
        how: dict[str, Any] = {"identity": "oidc", "url": gate.url, "oidc": known}
        refused = gate.play(**{**how, "oidc": {**known, "issuer": "https://127.0.0.1:1"}})
        assert "slurmrest_gateway_oidc, issuer: 'https://127.0.0.1:1' is refused" in refused.output
        assert refused.changed == 0
        assert gate.play(**how).good().changed > 0
        assert gate.play(**how).good().changed == 0
        own = through_the_provider(gate, provider, "alice")
        answer = gate.submit({**own, USER_HEADER: "bob"}, "provider")
        assert answer.status == 200, answer.body
        assert gate.owner(answer.json()["job_id"]) == "alice"
        assert gate.submit({"Cookie": own["Cookie"]}, "provider").status == 403
        handed = gate.ask("/auth/bearer", own, "POST", b"").json()["bearer"]
        answer = gate.submit({"Authorization": f"Bearer {handed}"}, "provider")
        assert gate.owner(answer.json()["job_id"]) == "alice"
        with pytest.raises(AssertionError, match=r"401 .*The login is refused"):
            through_the_provider(gate, provider, "root")
        assert gate.ask("/auth/callback?code=x&state=y").status == 401
        assert gate.log_in("alice", PASSWORDS["alice"]).status == 405
        said = everything(gate)
        assert "login of alice from" in said
        assert "login of 'root' from" in said
        assert handed not in said
        gate.play(**PAM).good()


def through_the_provider(gate: Gate, provider: Provider, user: str) -> dict[str, str]:
    """Log in as a browser does, and return what the gateway's page sends from then on."""
    context = ssl.create_default_context(cafile=gate.ca_file)
    context.load_verify_locations(provider.certificate)
    with Browser(context) as browser:
        shown = json.loads(provider.log_in(browser, f"{gate.url}/auth/login?return=/auth/session", user).text)
        (session,) = [cookie for cookie in browser.cookies if cookie.name == "__Host-slurmrest"]
    assert shown["user"] == user
    return {"Cookie": f"{session.name}={session.value}", "X-CSRF-Token": shown["csrf"]}
