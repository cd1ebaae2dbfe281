"""OpenID Connect: the flow of a provider that does it right, and each way in which an answer must not be taken."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from slurmrest.errors import SlurmrestError
from slurmrest.login import oidc, policy
from slurmrest.login.judge import COOKIE, STATE_COOKIE
from slurmrest.login.oidc import Client, CodeFlow, LoginError
from slurmrest.rest.client import ClientError, Response

from tests.unit.login.test_judge import Lab, cookie, data, whose

if TYPE_CHECKING:
    from slurmrest.login.judge import Reply

ISSUER = "https://login.example.org/realms/slurm"
KEYS = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
CLIENT = Client(ISSUER, "slurm-gateway", "preferred_username", "https://slurm.example.org", "", "geheim")
NOW = 1_800_000_000.0


class Provider:
    """What it answers; a test spoils what it wants to."""

    def __init__(self) -> None:
        self.description: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/auth",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
        }
        self.signer, self.kid, self.published = 0, "first", {"first": 0}
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.asked: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.status = 200
        self.nonce = self.challenge = ""

    def request(self, target: Any, method: str, path: str, *, headers: Any, body: Any, **_how: Any) -> Response:
        url = f"{target.scheme}://{target.host}{path}"
        self.asked.append(f"{method} {url}")
        if url.endswith("configuration"):
            return self.reply(self.description)
        if url.endswith("/keys"):
            return self.reply(self.keys())
        assert url == f"{ISSUER}/token"
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        self.forms.append(form)
        assert headers["Authorization"] == "Basic " + base64.b64encode(b"slurm-gateway:geheim").decode()
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == self.challenge
        return self.reply({"id_token": self.token(), "access_token": "x"}, self.status)

    @staticmethod
    def reply(found: Any, status: int = 200) -> Response:
        return Response(status, {}, json.dumps(found).encode(), 0.0)

    def keys(self) -> dict[str, Any]:
        public = {kid: RSAAlgorithm.to_jwk(KEYS[n].public_key(), as_dict=True) for kid, n in self.published.items()}
        return {"keys": [{**key, "kid": kid} for kid, key in public.items()]}

    def token(self) -> str:
        claims = {
            "iss": ISSUER,
            "aud": "slurm-gateway",
            "sub": "4711",
            "preferred_username": "alice",
            "nonce": self.nonce,
            "iat": int(NOW),
            "exp": int(NOW) + 300,
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        return pyjwt.encode(claims, KEYS[self.signer], "RS256", headers={"kid": self.kid, **self.header})


class Flow:
    """A gateway, its provider and a browser."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.provider, self.now = Provider(), NOW
        monkeypatch.setattr(oidc, "request", self.provider.request)
        self.flow = CodeFlow(CLIENT, lambda: self.now)

    def begin(self, query: str = "") -> str:
        location, state = self.flow.begin(query)
        self.words = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert self.words["state"] == state
        self.provider.nonce, self.provider.challenge = self.words["nonce"], self.words["code_challenge"]
        return state

    def finish(self, **changed: str) -> tuple[str, str]:
        state = self.begin()
        given = {"code": "c", "state": state, **changed}
        return self.flow.finish(urlencode(given), state)


@pytest.fixture(autouse=True)
def accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"alice": "", "root": "it is root"}
    monkeypatch.setattr(policy.Policy, "refusal", lambda _self, name: known.get(name, "no account"))


@pytest.fixture
def flow(monkeypatch: pytest.MonkeyPatch) -> Flow:
    return Flow(monkeypatch)


def test_the_provider_names_the_user(flow: Flow) -> None:
    assert flow.finish(iss=ISSUER) == ("alice", "/")
    assert flow.words["redirect_uri"] == "https://slurm.example.org/auth/callback"
    assert (flow.words["response_type"], flow.words["code_challenge_method"]) == ("code", "S256")
    assert flow.words["scope"].split()[0] == "openid"
    assert flow.provider.forms[0]["redirect_uri"] == flow.words["redirect_uri"]
    assert flow.finish()[0] == "alice"
    assert flow.provider.asked.count(f"GET {ISSUER}/keys") == 1, "what is known is not asked again"
    flow.now += 4000
    flow.provider.claims = {"iat": int(flow.now), "exp": int(flow.now) + 300}
    assert flow.finish()[0] == "alice"
    assert flow.provider.asked.count(f"GET {ISSUER}/keys") == 2


def test_a_new_key_is_looked_for_at_once_and_not_again_and_again(flow: Flow) -> None:
    assert flow.finish()[0] == "alice"
    flow.now += 40
    flow.provider.published = {"first": 0, "second": 1}
    flow.provider.signer, flow.provider.kid = 1, "second"
    assert flow.finish()[0] == "alice"
    flow.provider.kid = "third"
    for _ in range(3):
        with pytest.raises(LoginError, match="no key 'third'"):
            flow.finish()
    assert flow.provider.asked.count(f"GET {ISSUER}/keys") == 2


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"iss": "https://login.example.org/realms/other"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"aud": "other"}, "another client"),
        ({"aud": None}, "another client"),
        ({"aud": ["slurm-gateway", "other"]}, "another client"),
        ({"aud": ["slurm-gateway", "other"], "azp": "other"}, "another client"),
        ({"azp": "other"}, "another client"),
        ({"exp": int(NOW) - 61}, "expired"),
        ({"exp": None}, "expired"),
        ({"exp": "never"}, "expired"),
        ({"exp": True}, "expired"),
        ({"exp": float("nan")}, "expired"),
        ({"exp": 10**400}, "expired"),
        ({"iat": int(NOW) + 61}, "future"),
        ({"iat": None}, "future"),
        ({"iat": float("nan")}, "future"),
        ({"nonce": None}, "another login"),
        ({"nonce": "x"}, "another login"),
        ({"nonce": 5}, "another login"),
        ({"preferred_username": None}, "no claim preferred_username"),
        ({"preferred_username": ["alice"]}, "no claim preferred_username"),
        ({"preferred_username": ""}, "no claim preferred_username"),
        ({"preferred_username": "al\nice"}, "no claim preferred_username"),
    ],
)
def test_claims_that_are_refused(flow: Flow, claims: dict[str, Any], said: str) -> None:
    flow.provider.claims = claims
    with pytest.raises(LoginError, match=said):
        flow.finish()


@pytest.mark.parametrize(
    "claims", [{"aud": ["slurm-gateway"]}, {"aud": ["slurm-gateway", "x"], "azp": "slurm-gateway"}]
)
def test_audiences_that_are_good(flow: Flow, claims: dict[str, Any]) -> None:
    flow.provider.claims = claims
    assert flow.finish()[0] == "alice"


def test_signatures_that_are_refused(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    flow.provider.signer = 1
    with pytest.raises(LoginError, match="does not match"):
        flow.finish()
    flow.provider.signer = 0
    right = flow.provider.token
    for header, said in (({"alg": "none"}, "'none'"), ({"alg": "HS256"}, "'HS256'")):
        text = base64.urlsafe_b64encode(json.dumps({"kid": "first", **header}).encode()).rstrip(b"=").decode()
        spoilt = f"{text}.{right().split('.')[1]}.{right().split('.')[2]}"
        monkeypatch.setattr(flow.provider, "token", lambda spoilt=spoilt: spoilt)
        with pytest.raises(LoginError, match=said):
            flow.finish()
    for text in ("", "a.b", "é"):
        monkeypatch.setattr(flow.provider, "token", lambda text=text: text)
        with pytest.raises(LoginError):
            flow.finish()


def test_an_answer_belongs_to_one_login_of_one_browser(flow: Flow) -> None:
    state = flow.begin()
    answer = urlencode({"code": "c", "state": state})
    for other in ("", "x", flow.begin()):
        with pytest.raises(LoginError, match="did not begin"):
            flow.flow.finish(answer, other)
    flow.begin()
    with pytest.raises(LoginError, match="did not begin"):
        flow.flow.finish(answer + "&" + answer, state)
    state = flow.begin()
    answer = urlencode({"code": "c", "state": state})
    assert flow.flow.finish(answer, state)[0] == "alice"
    with pytest.raises(LoginError, match="used already"):
        flow.flow.finish(answer, state)
    state = flow.begin()
    flow.now += 601
    with pytest.raises(LoginError, match="too long ago"):
        flow.flow.finish(urlencode({"code": "c", "state": state}), state)


def test_answers_without_a_code(flow: Flow) -> None:
    state = flow.begin()
    with pytest.raises(LoginError, match="access_denied"):
        flow.flow.finish(urlencode({"error": "access_denied", "state": state}), state)
    with pytest.raises(LoginError, match=r"another issuer answers \(iss\)"):
        flow.finish(iss="https://evil.example.com")
    flow.provider.status = 400
    with pytest.raises(LoginError, match="answers 400"):
        flow.finish()


@pytest.mark.parametrize(
    ("wanted", "goes"),
    [
        ("/page?job=7", "/page?job=7"),
        ("/", "/"),
        ("//evil.example.com", "/"),
        ("/\\evil.example.com", "/"),
        ("https://evil.example.com/", "/"),
        ("page", "/"),
        ("/a\r\nb", "/"),
        ("", "/"),
    ],
)
def test_it_returns_to_the_gateway_s_own_pages_alone(flow: Flow, wanted: str, goes: str) -> None:
    state = flow.begin(urlencode({"return": wanted}))
    assert flow.flow.finish(urlencode({"code": "c", "state": state}), state) == ("alice", goes)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"issuer": "https://login.example.org"}, "calls itself"),
        ({"token_endpoint": "http://login.example.org/token"}, "https:// addresses"),
        ({"jwks_uri": None}, "https:// addresses"),
        ({"authorization_endpoint": "javascript:x"}, "https:// addresses"),
    ],
)
def test_a_provider_that_describes_itself_otherwise(flow: Flow, changed: dict[str, Any], said: str) -> None:
    flow.provider.description.update(changed)
    with pytest.raises(LoginError, match=said):
        flow.begin()


def test_a_provider_that_is_away(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_words: Any, **_how: Any) -> Response:
        raise ClientError("refused", "connection refused")

    monkeypatch.setattr(oidc, "request", away)
    with pytest.raises(LoginError, match=r"login.example.org: connection refused"):
        flow.begin()


def test_its_secret_does_not_show() -> None:
    assert "geheim" not in repr(CLIENT)


# --- the service around it -------------------------------------------------------------------------------------------


def lab(flow: Flow) -> Lab:
    found = Lab("oidc")
    found.identity.code_flow = flow.flow
    return found


def came_back(service: Lab, state: str, **cookies: str) -> Reply:
    query = urlencode({"code": "c", "state": state})
    sent = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return service.ask("GET", "/auth/callback", query=query, Cookie=sent)


def test_from_the_provider_to_a_job(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    service = lab(flow)
    sent = service.ask("GET", "/auth/login", query="return=/page")
    assert sent.status == 302
    words = {name: values[0] for name, values in parse_qs(urlsplit(sent.headers["Location"]).query).items()}
    flow.provider.nonce, flow.provider.challenge = words["nonce"], words["code_challenge"]
    assert sent.headers["Set-Cookie"].startswith(f"{STATE_COOKIE}={words['state']}; Path=/; Max-Age=600; Secure;")
    assert came_back(service, words["state"]).status == 401, "without the cookie it is another browser"
    done = came_back(service, words["state"], **{STATE_COOKIE: words["state"]})
    assert (done.status, done.headers["Location"]) == (303, "/page")
    own = {"Cookie": cookie(done)}
    assert whose(service.check(**own)) == "alice"
    csrf = data(service.ask("GET", "/auth/session", **own))["csrf"]
    assert service.ask("POST", "/auth/bearer", **own).status == 403
    ends = data(service.ask("GET", "/auth/session", **own))["expires"]
    monkeypatch.setattr(service.identity.sessions, "_clock", lambda: ends - 1.0)
    again = data(service.ask("POST", "/auth/bearer", **own, X_CSRF_Token=csrf))
    assert again["expires"] == ends, "a login ends with all that came of it"
    handed = again["bearer"]
    assert whose(service.check("POST", Authorization=f"Bearer {handed}")) == "alice"
    assert service.ask("POST", "/auth/logout", **own, X_CSRF_Token=csrf).status == 200
    assert service.check(**own).status == 401
    assert service.log_in().status == 405, "no password is taken"


def test_whom_the_provider_names_may_be_nobody_here(flow: Flow) -> None:
    service = lab(flow)
    flow.provider.claims = {"preferred_username": "root"}
    state = flow.begin()
    refused = came_back(service, state, **{STATE_COOKIE: state})
    assert refused.status == 401
    assert COOKIE not in refused.headers.get("Set-Cookie", "")
    assert service.told[-1] == "login of 'root' from 192.0.2.7 refused: it is root"


def test_what_the_provider_gets_wrong_is_told_in_the_journal(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    service = lab(flow)
    flow.provider.published = {}
    state = flow.begin()
    assert came_back(service, state, **{STATE_COOKIE: state}).status == 401
    assert "no key for RS256" in service.told[-1]

    def fails(_query: str) -> tuple[str, str]:
        raise LoginError("away")

    monkeypatch.setattr(flow.flow, "begin", fails)
    assert service.ask("GET", "/auth/login").status == 503
    assert "cannot begin: away" in service.told[-1]
    assert issubclass(LoginError, SlurmrestError)
