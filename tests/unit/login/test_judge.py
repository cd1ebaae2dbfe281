"""What the identity service answers: who asks, what a page has to prove, and who gets a token."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.auth.bearer import Token
from slurmrest.auth.jwt import inspect
from slurmrest.auth.rs256 import PrivateKey
from slurmrest.login import judge, policy
from slurmrest.login.judge import COOKIE, REFUSED, Asked, Identity, Reply
from slurmrest.login.policy import Policy
from slurmrest.login.sessions import Sessions
from slurmrest.login.settings import LoginSettings
from slurmrest.login.tokens import UserTokens

from tests.unit.login.test_sessions import PEM

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = PrivateKey.load(PEM, "gateway")
PORTAL = "https://portal.example.org"
SUBJECT = "CN=Alice,OU=People,O=Example"
BASE = {"x-client": "192.0.2.7", "x-own-host": "slurm.example.org", "content-type": "application/json"}

SECONDS = judge.REFUSAL_SECONDS


@pytest.fixture(autouse=True)
def accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"alice": "", "bob": "", "root": "it is root"}
    monkeypatch.setattr(policy.Policy, "refusal", lambda _self, name: known.get(name, "no account"))
    monkeypatch.setattr(judge, "REFUSAL_SECONDS", 0.0)


class Lab:
    """A service with two users, whose passwords are their names backwards."""

    def __init__(self, kind: str = "pam") -> None:
        self.told: list[str] = []
        self.tried: list[str] = []
        settings = LoginSettings(
            kind,
            "www-data",
            "/key",
            "slurm.example.org",
            300,
            3600,
            Policy("slurm"),
            (PORTAL,),
            "/pam",
            {SUBJECT: "alice"},
        )
        signer = UserTokens(lambda: KEY, 300, self.told.append)
        self.identity = Identity(settings, Sessions(3600), signer, self.password, self.told.append)

    def password(self, user: str, password: str) -> bool:
        self.tried.append(user)
        return password == user[::-1]

    def ask(self, method: str, path: str, body: Any = b"", query: str = "", **headers: str) -> Reply:
        named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.identity.answer(Asked(method, path, {**BASE, **named}, data, query))

    def log_in(self, user: str = "alice", *, bearer: bool = False, **headers: str) -> Reply:
        return self.ask("POST", "/auth/login", {"user": user, "password": user[::-1], "bearer": bearer}, **headers)

    def check(self, method: str = "GET", **headers: str) -> Reply:
        return self.ask("GET", "/check", X_Method=method, **headers)


def data(reply: Reply) -> Mapping[str, Any]:
    assert reply.data is not None
    return reply.data


def cookie(reply: Reply) -> str:
    return reply.headers["Set-Cookie"].partition(";")[0]


def words(reply: Reply) -> str:
    return str(data(reply)["errors"][0]["description"])


def whose(reply: Reply) -> str:
    """The user of a good check, whose name and token have to be the same one's."""
    assert reply.status == 204, reply
    token = inspect(Token(reply.headers["X-Slurm-User-Token"]))
    assert token.header["alg"] == "RS256"
    assert token.user == reply.headers["X-Slurm-User-Name"]
    return token.user


# --- by password -----------------------------------------------------------------------------------------------------


def test_a_cookie_of_the_browser_s_own() -> None:
    lab = Lab()
    reply = lab.log_in()
    assert reply.status == 200
    value = reply.headers["Set-Cookie"]
    assert value.startswith("__Host-slurmrest=")
    assert value.endswith("; Path=/; Max-Age=3600; Secure; HttpOnly; SameSite=Lax")
    assert set(data(reply)) == {"user", "expires", "csrf"}
    assert whose(lab.check(Cookie=f"a=b; {cookie(reply)}; c=d")) == "alice"
    shown = lab.ask("GET", "/auth/session", Cookie=cookie(reply))
    assert data(shown) == data(reply)


def test_a_bearer_for_programs_and_other_origins() -> None:
    lab = Lab()
    reply = lab.log_in(bearer=True, Origin=PORTAL)
    assert "Set-Cookie" not in reply.headers
    bearer = f"Bearer {data(reply)['bearer']}"
    assert whose(lab.check(Authorization=bearer)) == "alice"
    assert whose(lab.check("POST", Authorization=bearer, Origin=PORTAL)) == "alice"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Cookie": f"{COOKIE}="},
        {"Cookie": f"{COOKIE}=x"},
        {"Cookie": "other=x"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic eDp4"},
        {"X-Client-Verify": "SUCCESS", "X-Client-Subject": SUBJECT},
        {"X-Slurm-User-Name": "alice"},
    ],
)
def test_nobody(headers: dict[str, str]) -> None:
    reply = Lab().check(**headers)
    assert reply.status == 401
    assert set(reply.headers) == {"X-Slurmrest-Reason"}


@pytest.mark.parametrize("kind", ["pam", "mtls", "oidc"])
def test_a_page_is_told_how_to_log_in(kind: str) -> None:
    reply = Lab(kind).ask("GET", "/auth/session")
    assert (reply.status, data(reply)["identity"]) == (401, kind)
    assert words(reply)


def test_of_two_cookies_one_is_somebody_else_s() -> None:
    lab = Lab()
    alice, bob = cookie(lab.log_in()), cookie(lab.log_in("bob"))
    assert lab.check(Cookie=f"{alice}; {bob}").status == 401


def test_a_cookie_is_no_bearer_beside_a_wrong_one() -> None:
    lab = Lab()
    assert lab.check(Cookie=cookie(lab.log_in()), Authorization="Bearer x").status == 401


def test_what_a_page_has_to_say_where_it_changes_something() -> None:
    lab = Lab()
    reply = lab.log_in()
    own, csrf = {"Cookie": cookie(reply)}, str(data(reply)["csrf"])
    for method in ("POST", "DELETE", "PUT", ""):
        assert lab.check(method, **own).status == 403
        assert lab.check(method, **own, X_CSRF_Token="x").status == 403
        assert lab.check(method, **own, X_CSRF_Token=data(lab.log_in())["csrf"]).status == 403, "of another session"
        assert lab.check(method, **own, X_CSRF_Token=csrf, Origin="https://evil.example.com").status == 403
        assert lab.check(method, **own, X_CSRF_Token=csrf, Origin="null").status == 403
        assert whose(lab.check(method, **own, X_CSRF_Token=csrf, Origin="https://slurm.example.org")) == "alice"
        assert whose(lab.check(method, **own, X_CSRF_Token=csrf)) == "alice"
    assert whose(lab.check("GET", **own, Origin="https://evil.example.com")) == "alice", "nothing changes"


def test_logout_ends_that_session() -> None:
    lab = Lab()
    reply, other = lab.log_in(), lab.log_in()
    own = {"Cookie": cookie(reply)}
    assert lab.ask("POST", "/auth/logout", **own).status == 403
    done = lab.ask("POST", "/auth/logout", **own, X_CSRF_Token=data(reply)["csrf"])
    assert done.status == 200
    assert done.headers["Set-Cookie"].startswith(f"{COOKIE}=; Path=/; Max-Age=0;")
    assert lab.check(**own).status == 401
    assert whose(lab.check(Cookie=cookie(other))) == "alice"


def test_logout_everywhere_ends_all_of_that_user() -> None:
    """What a user does whose password was seen: another password ends no session."""
    lab = Lab()
    reply, other = lab.log_in(), lab.log_in()
    own = {"Cookie": cookie(reply)}
    assert lab.ask("POST", "/auth/logout-everywhere", **own).status == 403
    done = lab.ask("POST", "/auth/logout-everywhere", **own, X_CSRF_Token=data(reply)["csrf"])
    assert (done.status, data(done)) == (200, {"sessions": 2})
    assert [lab.check(Cookie=cookie(one)).status for one in (reply, other)] == [401, 401]
    assert lab.ask("POST", "/auth/logout-everywhere").status == 401


@pytest.mark.parametrize("user", ["root", "carol", "bob"])
def test_refused_logins_say_nothing_of_why(user: str) -> None:
    """Neither whether there is such an account, nor whether it may; and PAM never gets root's password."""
    lab = Lab()
    reply = lab.ask("POST", "/auth/login", {"user": user, "password": "wrong"})
    assert (reply.status, words(reply)) == (401, REFUSED)
    assert lab.tried == (["bob"] if user == "bob" else [])
    assert f"login of '{user}' from 192.0.2.7 refused" in lab.told[0]
    assert "wrong" not in lab.told[0]


def test_a_refused_login_takes_as_long_whatever_refused_it(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(judge, "REFUSAL_SECONDS", SECONDS)
    monkeypatch.setattr("time.sleep", waited.append)
    Lab().log_in("root")
    assert waited == [pytest.approx(SECONDS, abs=0.5)]
    slowest = 2.0 * 1.5  # pam_unix for a wrong password
    assert slowest + 0.5 < SECONDS


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({"user": "alice", "password": "ecila"}, {"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"user": "alice", "password": "ecila"}, {"Content_Type": "text/plain; application/json"}, 415),
        ({"user": "alice", "password": "ecila"}, {"Content_Type": ""}, 415),
        ({"user": "alice", "password": "ecila"}, {"Content_Type": "application/JSON; charset=utf-8"}, 200),
        ({"user": "alice", "password": "ecila"}, {"Origin": "https://evil.example.com"}, 403),
        ({"user": "alice", "password": "ecila"}, {"Origin": "null"}, 403),
        ({"user": "alice", "password": "ecila"}, {"Origin": "http://slurm.example.org"}, 403),
        ({"user": "alice", "password": "ecila"}, {"Origin": "https://slurm.example.org"}, 200),
        ({"user": "alice"}, {}, 400),
        ({"user": "alice", "password": ""}, {}, 400),
        ({"user": ["alice"], "password": "ecila"}, {}, 400),
        ({"user": "alice", "password": "ecila", "bearer": 1}, {}, 400),
        ({"user": "alice", "password": "ecila", "uid": 0}, {}, 400),
        ({"user": "al\nice", "password": "x"}, {}, 400),
        ({"user": "alice", "password": "\0"}, {}, 400),
        ([], {}, 400),
        (b"", {}, 400),
        (b"\xff", {}, 400),
    ],
)
def test_what_a_login_is(body: Any, headers: dict[str, str], status: int) -> None:
    lab = Lab()
    reply = lab.ask("POST", "/auth/login", body, **headers)
    assert reply.status == status
    assert ("Set-Cookie" in reply.headers) == (status == 200)


def test_who_may_no_longer_has_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab()
    own = {"Cookie": cookie(lab.log_in())}
    monkeypatch.setattr(policy.Policy, "refusal", lambda _self, _name: "no account")
    reply = lab.check(**own)
    assert reply.status == 403
    assert "X-Slurm-User-Token" not in reply.headers
    assert lab.told[-1] == "request of 'alice' refused: no account"


# --- by certificate --------------------------------------------------------------------------------------------------


def test_a_certificate_that_nginx_verified() -> None:
    lab = Lab("mtls")
    own = {"X_Client_Verify": "SUCCESS", "X_Client_Subject": SUBJECT}
    assert whose(lab.check(**own)) == "alice"
    assert whose(lab.check("POST", **own)) == "alice"
    assert lab.check("POST", **own, Origin="https://evil.example.com").status == 403
    assert whose(lab.check("POST", **own, Origin=PORTAL)) == "alice"
    assert data(lab.ask("GET", "/auth/session", **own)) == {"user": "alice"}


@pytest.mark.parametrize(
    ("site", "status"), [("", 204), ("none", 204), ("same-origin", 204), ("same-site", 403), ("cross-site", 403)]
)
def test_a_link_of_another_site_changes_nothing(site: str, status: int) -> None:
    """Browsers send certificates with it and no Origin: one GET of slurmrestd's is asked for as a change."""
    lab = Lab("mtls")
    own = {"X_Client_Verify": "SUCCESS", "X_Client_Subject": SUBJECT, "Sec_Fetch_Site": site}
    assert lab.check("POST", **own).status == status
    assert whose(lab.check("POST", **own, Origin=PORTAL)) == "alice", "a page that is listed"
    assert whose(lab.check("GET", **own)) == "alice", "nothing changes"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("slurm.example.org", 204),
        ("Slurm.example.org:8443", 204),
        ("192.0.2.1:8443", 204),
        ("[2001:db8::1]", 204),
        ("pages.example.org", 403),
        ("slurm.example.org.", 403),
        ("[", 403),
        ("", 403),
    ],
)
def test_a_page_under_another_name_of_this_address_is_not_the_gateway_s(host: str, status: int) -> None:
    """Its owner gives the gateway's address that name after the page is there; the browser then sends certificates."""
    own = {"X_Client_Verify": "SUCCESS", "X_Client_Subject": SUBJECT, "X_Own_Host": host, "Origin": f"https://{host}"}
    assert Lab("mtls").check("POST", **own).status == status


@pytest.mark.parametrize(
    ("verify", "subject"),
    [
        ("", SUBJECT),
        ("NONE", SUBJECT),
        ("FAILED:certificate has expired", SUBJECT),
        ("success", SUBJECT),
        ("SUCCESS", ""),
        ("SUCCESS", "CN=Alice"),
        ("SUCCESS", SUBJECT + ",O=Example"),
        ("SUCCESS", SUBJECT.lower()),
    ],
)
def test_a_certificate_that_is_nobody_s(verify: str, subject: str) -> None:
    reply = Lab("mtls").check(X_Client_Verify=verify, X_Client_Subject=subject)
    assert reply.status == 401
    assert "X-Slurm-User-Token" not in reply.headers


def test_by_certificate_there_are_no_sessions() -> None:
    lab = Lab("mtls")
    secret, _ = lab.identity.sessions.begin("alice")
    assert lab.check(Cookie=f"{COOKIE}={secret}", Authorization=f"Bearer {secret}").status == 401
    assert lab.log_in().status == 404


# --- paths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/auth/login", 405),
        ("POST", "/auth/session", 405),
        ("GET", "/auth/logout", 405),
        ("POST", "/check", 405),
        ("GET", "/", 404),
        ("GET", "/auth", 404),
    ],
)
def test_paths(method: str, path: str, status: int) -> None:
    assert Lab().ask(method, path).status == status
